//! Certificates for one test: an authority, what it signs, and what it takes back. Made afresh, never kept.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    pub der: CertificateDer<'static>,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Paper {
    pub name: String,
    pub certificate: CertificateDer<'static>,
    pub certificate_pem: String,
    pub key_pem: String,
    key: Vec<u8>,
    serial: SerialNumber,
}

impl Paper {
    pub fn signed_by_itself(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = named(name).self_signed(&key).expect("a certificate");
        Self::new(name, &certificate, &key, SerialNumber::from(1))
    }

    fn new(name: &str, certificate: &Certificate, key: &KeyPair, serial: SerialNumber) -> Self {
        Self {
            name: name.to_owned(),
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
            serial,
        }
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = named("the box's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    pub fn tablet(&self, name: &str) -> Paper {
        self.sign(name, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    pub fn server(&self) -> Paper {
        self.sign("localhost", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().expect("a name"))];
        })
    }

    pub fn expired(&self, name: &str) -> Paper {
        self.sign(name, |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    pub fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Paper {
        let key = KeyPair::generate().expect("a key");
        let serial = SerialNumber::from_slice(&uuid::Uuid::new_v4().as_bytes()[..8]);
        let mut params = named(name);
        params.serial_number = Some(serial.clone());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Paper::new(name, &certificate, &key, serial)
    }

    /// The list of what is taken back, with dates as image/README.md has them.
    pub fn revoked(&self, papers: &[&Paper]) -> String {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2000, 1, 1),
            next_update: date_time_ymd(4096, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: papers
                .iter()
                .map(|paper| RevokedCertParams {
                    serial_number: paper.serial.clone(),
                    revocation_time: date_time_ymd(2000, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default(); // from 1975 to 4096: the box's clock may say anything
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
