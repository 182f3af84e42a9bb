//! `options` of a patch port.

use std::collections::BTreeMap;

/// The name of the interface at the other end, or the text for `Interface.error`, as Open vSwitch
/// words it.
pub(super) fn peer(name: &str, options: &BTreeMap<String, String>) -> Result<String, String> {
    if options.keys().any(|key| key != "peer") {
        return Err(format!("{name}: patch type takes only a 'peer' argument"));
    }
    match options.get("peer") {
        None => Err(format!("{name}: patch type requires valid 'peer' argument")),
        Some(peer) if peer == name => Err(format!("{name}: patch peer must not be self")),
        Some(peer) => Ok(peer.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::peer;
    use std::collections::BTreeMap;

    #[test]
    fn errors_are_the_stock_ones() {
        let p0 = |options: &[(&str, &str)]| {
            let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            peer("p0", &options.collect::<BTreeMap<_, _>>())
        };
        let error = |text: &str| Err(format!("p0: {text}"));
        assert_eq!(p0(&[("peer", "p1")]), Ok("p1".to_owned()));
        assert_eq!(p0(&[]), error("patch type requires valid 'peer' argument"));
        assert_eq!(p0(&[("peer", "p0")]), error("patch peer must not be self"));
        let other = [("peer", "p1"), ("bogus", "3")];
        assert_eq!(p0(&other), error("patch type takes only a 'peer' argument"));
    }
}
