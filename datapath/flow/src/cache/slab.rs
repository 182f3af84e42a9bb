//! Values with numbers that are used again.

/// Names a value in a slab while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    at: u32,
    generation: u32,
}

/// Values, and free places.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<Box<T>>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> Handle {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, value: None });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(place) = self.places.get_mut(at as usize) {
            place.value = Some(Box::new(value));
            generation = place.generation;
        }
        Handle { at, generation }
    }

    #[inline]
    pub(super) fn get(&self, handle: Handle) -> Option<&T> {
        let place = self.places.get(handle.at as usize)?;
        if place.generation == handle.generation { place.value.as_deref() } else { None }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let place = self.places.get_mut(handle.at as usize)?;
        if place.generation == handle.generation { place.value.as_deref_mut() } else { None }
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<T> {
        let place = self.places.get_mut(handle.at as usize)?;
        if place.generation != handle.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(handle.at);
        Some(*value)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many places there are, free ones too.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// The value in a place.
    pub(super) fn at(&mut self, at: usize) -> Option<(Handle, &mut T)> {
        let place = self.places.get_mut(at)?;
        let handle = Handle { at: u32::try_from(at).ok()?, generation: place.generation };
        Some((handle, place.value.as_deref_mut()?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        (0u32..).zip(&self.places).filter_map(|(at, place)| {
            Some((Handle { at, generation: place.generation }, place.value.as_deref()?))
        })
    }
}
