//! The world's own certificate authority.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ED25519, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::chance;

/// Signs the API servers' certificates.
///
/// Keys come from the seed, so that two runs of the same world send the same bytes. They protect nothing.
pub(crate) struct Authority {
    issuer: Option<CertifiedIssuer<'static, KeyPair>>,
    seed: u64,
}

/// A certificate and its key, as rustls wants them.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new(seed: u64) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(SerialNumber::from(1_u64));
        params.distinguished_name.push(rcgen::DnType::CommonName, "kubernetes");
        let (_, key) = key(seed, "authority");
        let issuer = key.and_then(|key| CertifiedIssuer::self_signed(params, key).ok());
        Self { issuer, seed }
    }

    /// The authority's certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.as_ref().map(CertifiedIssuer::pem).unwrap_or_default()
    }

    /// A certificate for a host name and for 127.0.0.1.
    pub(crate) fn identity(&self, host: &str) -> Option<Identity> {
        let issuer = self.issuer.as_ref()?;
        let mut params = CertificateParams::new(vec![host.to_owned()]).ok()?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.serial_number = Some(SerialNumber::from(chance::number(self.seed, &["serial", host])));
        let (der, key) = key(self.seed, host);
        let certificate = params.signed_by(&key?, issuer).ok()?;
        let chain = vec![certificate.der().clone()];
        Some(Identity { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)) })
    }
}

/// An Ed25519 key from the seed, and its PKCS #8 form.
fn key(seed: u64, name: &str) -> (Vec<u8>, Option<KeyPair>) {
    /// The PKCS #8 frame around the 32 bytes of an Ed25519 key (RFC 8410).
    const FRAME: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let mut der = FRAME.to_vec();
    for part in ["a", "b", "c", "d"] {
        der.extend(chance::number(seed, &["key", name, part]).to_be_bytes());
    }
    let pair =
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der.clone()), &PKCS_ED25519).ok();
    (der, pair)
}
