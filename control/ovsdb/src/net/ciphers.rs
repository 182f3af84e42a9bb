//! Versions and cipher suites of TLS by the names that OpenSSL has for them.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

/// Suites of TLS 1.2, by their names in OpenSSL. Those of TLS 1.3 are not chosen by name there.
const SUITES: [(CipherSuite, &str); 6] = [
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// Groups that all of our suites are in.
const WHOLE: [&str; 4] = ["ALL", "DEFAULT", "HIGH", "kECDHE"];

/// The versions that a list such as `TLSv1.1,TLSv1.2` names; all when it names none that are safe.
pub(crate) fn versions(list: &str) -> Vec<&'static SupportedProtocolVersion> {
    let words: Vec<&str> = list.split([',', ' ', '\t']).collect();
    let all = [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)];
    let some: Vec<_> =
        all.iter().filter(|(name, _)| words.contains(name)).map(|(_, version)| *version).collect();
    if some.is_empty() { all.map(|(_, version)| version).to_vec() } else { some }
}

/// Cryptography with the suites that a list such as `HIGH:!ECDSA` leaves of TLS 1.2; an empty one leaves
/// all.
pub(crate) fn provider(list: &str) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !list.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = SUITES.iter().find(|(it, _)| *it == suite.suite());
            name.is_none_or(|(_, name)| is_chosen(name, list))
        });
    }
    provider
}

/// True when the list names the suite, by itself or by a group, and does not take it out.
fn is_chosen(suite: &str, list: &str) -> bool {
    let words = || list.split([':', ',', ' ']).filter(|word| !word.is_empty());
    let is_out = |word: &str| word.strip_prefix(['!', '-']).is_some_and(|word| fits(suite, word));
    words().any(|word| fits(suite, word)) && !words().any(is_out)
}

/// True when a name or groups with `+` between them fit a suite.
fn fits(suite: &str, word: &str) -> bool {
    let part = |part: &str| match part {
        "AESGCM" => suite.contains("GCM"),
        "aRSA" => suite.contains("RSA"),
        "aECDSA" => suite.contains("ECDSA"),
        part => WHOLE.contains(&part) || suite.split('-').any(|of_suite| of_suite == part),
    };
    word == suite || word.split('+').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(list: &str) -> Vec<&'static str> {
        SUITES.iter().map(|(_, name)| *name).filter(|name| is_chosen(name, list)).collect()
    }

    #[test]
    fn suites_are_chosen_by_name_and_by_group() {
        assert_eq!(chosen("HIGH:!aNULL:!MD5").len(), 6);
        assert_eq!(chosen("DEFAULT:!ECDSA").len(), 3);
        assert_eq!(chosen("ECDHE+AESGCM:!AES128:!aECDSA"), ["ECDHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(chosen("ECDHE-RSA-CHACHA20-POLY1305"), ["ECDHE-RSA-CHACHA20-POLY1305"]);
        assert!(chosen("RC4-SHA").is_empty());
    }

    #[test]
    fn versions_that_are_not_safe_are_left_out() {
        assert_eq!(versions("").len(), 2);
        assert_eq!(versions("TLSv1,TLSv1.1").len(), 2);
        assert_eq!(versions("TLSv1.1, TLSv1.2"), [&TLS12]);
    }
}
