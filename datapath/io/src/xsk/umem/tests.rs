use super::*;
use proptest::prelude::*;
use weft_switch::FrameBuf;

const SMALL: RegionConfig = RegionConfig { chunk_bytes: 2048, chunks: 64 };

fn pool() -> ChunkPool {
    Region::new(SMALL).unwrap().1
}

fn assert_whole(pool: &ChunkPool) {
    let count = pool.count();
    assert_eq!(count, pool.audit());
    assert_eq!(count.free + count.held + count.receiving + count.sending, count.chunks);
}

#[test]
fn chunks_do_not_overlap() {
    let mut pool = pool();
    let mut chunks: Vec<Chunk> = std::iter::from_fn(|| pool.take()).collect();
    assert_eq!(chunks.len(), 64);
    for (fill, chunk) in (1..).zip(&mut chunks) {
        assert_eq!(chunk.prepend(chunk.headroom_bytes()).unwrap().len(), 448);
        chunk.room_mut().fill(fill);
        assert_eq!(chunk.bytes().len(), 2048);
    }
    for (fill, chunk) in (1..).zip(&chunks) {
        assert!(chunk.bytes().iter().all(|&byte| byte == fill));
    }
    assert_eq!(pool.free_chunks(), 0);
    assert!(pool.take().is_none());
    assert_whole(&pool);
    for chunk in chunks {
        pool.free(chunk);
    }
    assert_eq!(pool.free_chunks(), 64);
    assert_whole(&pool);
}

#[test]
fn bad_sizes_are_refused() {
    for (chunk_bytes, chunks) in [(1024, 64), (2048, 63), (2048, 100), (8192, 64), (2048, 1 << 21)]
    {
        assert!(Region::new(RegionConfig { chunk_bytes, chunks }).is_err());
    }
}

#[test]
fn a_1500_byte_mtu_fits_and_a_jumbo_does_not() {
    let pool = pool();
    assert_eq!(pool.region().mtu_max(), 1578);
    assert_eq!(pool.region().frame_bytes_max(), 1600);
    let (_, large) = Region::new(RegionConfig { chunk_bytes: 4096, chunks: 64 }).unwrap();
    assert_eq!(large.region().mtu_max(), 3626);
}

#[test]
fn chunks_of_a_closed_socket_come_back_and_not_earlier() {
    let mut pool = pool();
    let flag = ClosedFlag::default();
    let slot = pool.enrol(flag.watch(), false).unwrap();
    for _ in 0..10 {
        pool.lend(slot).unwrap();
    }
    let chunk = pool.take().unwrap();
    pool.send(slot, chunk).unwrap();
    assert_eq!((pool.count().receiving, pool.count().sending), (10, 1));
    pool.reclaim();
    assert_eq!(pool.free_chunks(), 53, "it is in service");
    pool.retire(slot);
    pool.reclaim();
    assert_eq!(pool.free_chunks(), 53, "it is open");
    drop(flag);
    pool.reclaim();
    assert_eq!(pool.free_chunks(), 64);
    assert_whole(&pool);
    assert!(!pool.has_retired());
}

#[test]
fn zero_copy_sockets_are_waited_for() {
    let mut pool = pool();
    let flag = ClosedFlag::default();
    let slot = pool.enrol(flag.watch(), true).unwrap();
    pool.lend(slot).unwrap();
    pool.retire(slot);
    drop(flag);
    pool.reclaim();
    assert_eq!(pool.free_chunks(), 63, "the hardware may still write");
    std::thread::sleep(QUARANTINE);
    pool.reclaim();
    assert_eq!(pool.free_chunks(), 64);
}

/// Only a pool that got everything back leaves its region to the next.
#[test]
fn a_region_is_used_again_only_when_whole() {
    // A size that no other test uses, since idle regions are the process's.
    let config = RegionConfig { chunk_bytes: 4096, chunks: 128 };
    let (first, mut pool) = Region::new(config).unwrap();
    let chunk = pool.take().unwrap();
    drop(pool);
    let (second, mut pool) = Region::new(config).unwrap();
    assert!(!first.same(second), "a chunk of it is out");
    assert!(chunk.bytes().is_empty());
    // One that the kernel may still have.
    let open = ClosedFlag::default();
    let slot = pool.enrol(open.watch(), false).unwrap();
    pool.lend(slot).unwrap();
    drop(pool);
    let (third, mut pool) = Region::new(config).unwrap();
    assert!(!third.same(second), "its socket is open");
    let closed = ClosedFlag::default();
    let slot = pool.enrol(closed.watch(), false).unwrap();
    pool.lend(slot).unwrap();
    drop(closed);
    drop(pool);
    let (fourth, pool) = Region::new(config).unwrap();
    assert!(fourth.same(third));
    assert_eq!(pool.free_chunks(), 128);
}

#[test]
fn a_chunk_of_another_region_is_not_taken() {
    let (mut one, mut other) = (pool(), pool());
    other.free(one.take().unwrap());
    assert_eq!(other.free_chunks(), 64);
    assert_eq!(other.strangers, 1);
}

/// What a buggy driver might hand back.
#[derive(Clone, Debug)]
enum Claim {
    Rx { address: u64, len: u32 },
    Completion { address: u64 },
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0u64..(70 * 2048)]
}

fn claim() -> impl Strategy<Value = Claim> {
    let len = prop_oneof![any::<u32>(), 0u32..2100];
    prop_oneof![
        (address(), len).prop_map(|(address, len)| Claim::Rx { address, len }),
        address().prop_map(|address| Claim::Completion { address }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the kernel says, no chunk gets two owners and none is lost.
    #[test]
    fn lies_of_the_kernel_are_harmless(
        claims in prop::collection::vec((any::<bool>(), claim()), 0..200),
    ) {
        let mut pool = pool();
        let flags = [ClosedFlag::default(), ClosedFlag::default()];
        let slots = [
            pool.enrol(flags[0].watch(), false).unwrap(),
            pool.enrol(flags[1].watch(), false).unwrap(),
        ];
        for slot in slots {
            for _ in 0..10 {
                pool.lend(slot).unwrap();
                let chunk = pool.take().unwrap();
                pool.send(slot, chunk).unwrap();
            }
        }
        let mut held: Vec<Chunk> = Vec::new();
        for (second, claim) in claims {
            let slot = slots[usize::from(second)];
            match claim {
                Claim::Rx { address, len } => {
                    if let Received::Frame(mut chunk) = pool.receive(slot, address, len) {
                        prop_assert_eq!(chunk.bytes().len(), len as usize);
                        prop_assert!(chunk.headroom_bytes() + len as usize <= 2048);
                        let base = chunk.base;
                        prop_assert!(held.iter().all(|other| other.base != base));
                        chunk.bytes_mut().fill(0xee);
                        held.push(chunk);
                    }
                }
                Claim::Completion { address } => {
                    let before = pool.count().sending;
                    let good = pool.complete(slot, address);
                    prop_assert_eq!(pool.count().sending, before - usize::from(good));
                }
            }
            prop_assert_eq!(pool.count(), pool.audit());
            prop_assert_eq!(pool.count().held, held.len());
        }
        for chunk in held {
            pool.free(chunk);
        }
        for slot in slots {
            pool.retire(slot);
        }
        drop(flags);
        pool.reclaim();
        prop_assert_eq!(pool.free_chunks(), 64);
    }
}

/// The same operations on a vector: what [`FrameBuf`] means.
#[derive(Clone, Debug)]
enum Edit {
    Prepend(usize),
    Trim(usize),
    Truncate(usize),
    Pad(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let len = prop_oneof![0usize..80, 0usize..2200, Just(70_000)];
    prop_oneof![
        len.clone().prop_map(Edit::Prepend),
        len.clone().prop_map(Edit::Trim),
        len.clone().prop_map(Edit::Truncate),
        len.prop_map(Edit::Pad),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_chunk_is_a_frame(
        content in prop::collection::vec(any::<u8>(), 0..1600),
        edits in prop::collection::vec(edit(), 0..30),
    ) {
        let mut pool = pool();
        let mut chunk = pool.copy_from(&content).unwrap();
        let mut model = content;
        let mut start = 448usize;
        for edit in edits {
            match edit {
                Edit::Prepend(len) => match chunk.prepend(len) {
                    Some(new) => {
                        prop_assert!(len <= start);
                        prop_assert_eq!(new.len(), len);
                        new.fill(0x55);
                        start -= len;
                        model.splice(0..0, vec![0x55; len]);
                    }
                    None => prop_assert!(len > start),
                },
                Edit::Trim(len) => {
                    let fits = len <= model.len();
                    prop_assert_eq!(chunk.trim_front(len), fits);
                    if fits {
                        model.drain(..len);
                        start += len;
                    }
                }
                Edit::Truncate(len) => {
                    chunk.truncate(len);
                    model.truncate(len);
                }
                Edit::Pad(len) => {
                    let fits = len <= model.len() || start + len <= 2048;
                    prop_assert_eq!(chunk.pad_to(len), fits);
                    if fits && len > model.len() {
                        model.resize(len, 0);
                    }
                }
            }
            prop_assert_eq!(chunk.bytes(), &model[..]);
            prop_assert_eq!(chunk.headroom_bytes(), start);
            prop_assert_eq!(chunk.tailroom_bytes(), 2048 - start - model.len());
        }
        pool.free(chunk);
        prop_assert_eq!(pool.free_chunks(), 64);
    }
}

/// What is in retirement already stays there when the pool goes.
#[test]
fn retiring_twice_is_once() {
    let mut pool = pool();
    let flag = ClosedFlag::default();
    let slot = pool.enrol(flag.watch(), false).unwrap();
    pool.lend(slot).unwrap();
    pool.retire(slot);
    pool.retire(slot);
    drop(flag);
    pool.reclaim();
    assert_eq!((pool.free_chunks(), pool.has_retired()), (64, false));
}

#[test]
fn chunks_go_from_pool_to_pool() {
    let (_, pools) = Region::for_workers(SMALL, 2).unwrap();
    let [mut one, mut other] = <[ChunkPool; 2]>::try_from(pools).unwrap();
    assert_eq!((one.free_chunks(), other.free_chunks()), (64, 64));
    let mut chunk = one.copy_from(b"the same bytes").unwrap();
    let place = chunk.bytes_mut().as_ptr();
    one.part_with(&chunk);
    assert!(other.adopt(&chunk));
    assert_eq!((chunk.bytes(), chunk.bytes().as_ptr()), (&b"the same bytes"[..], place));
    assert_eq!((one.count().chunks, other.count().chunks, other.count().held), (63, 65, 1));
    assert_whole(&one);
    assert_whole(&other);
    other.free(chunk);
    // All of them, and the other way.
    while let Some(chunk) = other.take() {
        other.part_with(&chunk);
        assert!(one.adopt(&chunk));
        one.free(chunk);
    }
    assert_eq!((one.free_chunks(), other.count().chunks), (128, 0));
    assert_whole(&one);
    assert_whole(&other);
}

#[test]
fn a_chunk_of_another_region_is_not_adopted() {
    let (mut pool, mut other) = (pool(), pool());
    let chunk = pool.take().unwrap();
    assert!(!other.adopt(&chunk));
    assert_whole(&other);
    pool.free(chunk);
    assert_whole(&pool);
}

#[test]
fn what_a_socket_has_moves_with_it() {
    let (_, pools) = Region::for_workers(SMALL, 2).unwrap();
    let [mut one, mut other] = <[ChunkPool; 2]>::try_from(pools).unwrap();
    let flag = ClosedFlag::default();
    let slot = one.enrol(flag.watch(), false).unwrap();
    let lent: Vec<u64> = (0..5).map(|_| one.lend(slot).unwrap()).collect();
    let chunk = one.take().unwrap();
    let sent = one.send(slot, chunk).unwrap();
    let luggage = one.part_with_slot(slot);
    assert_eq!((one.count().chunks, luggage.chunks()), (58, 6));
    assert_whole(&one);
    // Another socket has the first number of the other pool.
    let _first = other.enrol(flag.watch(), false).unwrap();
    let slot = other.enrol(flag.watch(), false).unwrap();
    other.adopt_slot(slot, &luggage);
    assert_eq!((other.count().receiving, other.count().sending), (5, 1));
    assert_whole(&other);
    assert!(!one.complete(slot, sent) && other.complete(slot, sent));
    let Received::Frame(chunk) = other.receive(slot, lent[0], 60) else { panic!("not received") };
    other.free(chunk);
    drop(flag);
    other.retire(slot);
    other.reclaim();
    assert_eq!(other.free_chunks(), 70);
    assert_whole(&other);
}

#[test]
fn a_region_of_several_is_used_again_when_all_are_gone() {
    let config = RegionConfig { chunk_bytes: 4096, chunks: 256 };
    let (first, pools) = Region::for_workers(config, 2).unwrap();
    let mut pools = pools.into_iter();
    let (mut one, mut other) = (pools.next().unwrap(), pools.next().unwrap());
    // Chunks need not be where they began.
    let chunk = one.take().unwrap();
    one.part_with(&chunk);
    assert!(other.adopt(&chunk));
    other.free(chunk);
    drop(one);
    let (second, rest) = Region::for_workers(config, 2).unwrap();
    assert!(!second.same(first), "half of it is in use");
    std::mem::forget(rest);
    drop(other);
    let (third, pools) = Region::for_workers(config, 2).unwrap();
    assert!(third.same(first));
    // A chunk is missing.
    let mut pools = pools.into_iter();
    assert!(pools.next().unwrap().take().is_some());
    drop(pools);
    let (fourth, _pools) = Region::for_workers(config, 2).unwrap();
    assert!(!fourth.same(first));
}

/// Another mapping of the same memory, as a successor process has it.
#[test]
fn a_region_is_adopted_with_the_frames_in_it() {
    let (first, mut pool) = Region::new(RegionConfig { chunk_bytes: 4096, chunks: 64 }).unwrap();
    let mut left = Vec::new();
    for text in [&b"one frame"[..], b"and another"] {
        let chunk = pool.copy_from(text).unwrap();
        // It is the successor's from now on.
        pool.part_with(&chunk);
        left.push((pool.number_of(&chunk).unwrap(), text));
    }
    let memfd = || first.memfd().try_clone_to_owned().unwrap();
    let numbers: Vec<u32> = left.iter().map(|(number, _)| *number).collect();
    let config = first.config();
    let (second, pools) = Region::adopt(memfd(), config, std::slice::from_ref(&numbers)).unwrap();
    let [mut adopted] = <[ChunkPool; 1]>::try_from(pools).unwrap();
    assert!(!second.same(first));
    assert_eq!((adopted.count().chunks, adopted.free_chunks()), (2, 2));
    let found: Vec<Chunk> = std::iter::from_fn(|| adopted.take()).collect();
    for (mut chunk, (_, text)) in found.into_iter().zip(left) {
        assert!(chunk.room_mut().starts_with(text));
        adopted.free(chunk);
    }
    assert_eq!(adopted.free_chunks(), 2);
    assert!(pool.take().is_some_and(|chunk| !adopted.adopt(&chunk)), "another mapping");
    // What makes no sense is refused.
    for free in [vec![64], vec![3, 3]] {
        assert!(Region::adopt(memfd(), config, &[free]).is_err());
    }
    assert!(Region::adopt(memfd(), config, &[vec![3], vec![3]]).is_err());
    let other = RegionConfig { chunk_bytes: 2048, chunks: 64 };
    assert!(Region::adopt(memfd(), other, &[numbers]).is_err(), "it has another size");
}

#[test]
fn a_successor_gets_the_chunks_of_a_worker_that_ended() {
    let (region, pools) = Region::for_workers(SMALL, 2).unwrap();
    let [mut one, mut other] = <[ChunkPool; 2]>::try_from(pools).unwrap();
    assert!(region.successor().is_none(), "nobody has ended");
    // One chunk of it is with the other, and one is lost.
    let chunk = one.take().unwrap();
    one.part_with(&chunk);
    assert!(other.adopt(&chunk));
    assert!(one.take().is_some());
    drop(one);
    let mut next = region.successor().unwrap();
    assert!(region.successor().is_none(), "there is only one");
    assert_eq!((next.free_chunks(), other.count().chunks), (62, 65));
    other.part_with(&chunk);
    assert!(next.adopt(&chunk), "it is the same memory");
    next.free(chunk);
    assert_whole(&next);
    assert_whole(&other);
}

/// The hardware of a zero-copy socket may still write when the worker has ended.
#[test]
fn no_successor_gets_what_hardware_may_write_to() {
    let (region, pools) = Region::for_workers(SMALL, 2).unwrap();
    let [mut one, _other] = <[ChunkPool; 2]>::try_from(pools).unwrap();
    let flag = ClosedFlag::default();
    let slot = one.enrol(flag.watch(), true).unwrap();
    one.lend(slot).unwrap();
    drop(flag);
    drop(one);
    assert!(region.successor().is_none());
}
