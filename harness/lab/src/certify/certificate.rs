//! Certificates: what was found of a case, from which evidence, and until when it holds. One JSON file per case.
//!
//! Where the files are is the caller's business; what they rest on are the record files.

use super::check::Check;
use super::processes::Estimate;
use super::records::{Gathered, Kind};
use super::{Assessment, Level};
use crate::figures::percent;
use crate::stats::median;
use jiff::{SignedDuration, Timestamp};
use proofmark::fingerprint::digest;
use proofmark::record::{Outcome, Record};
use proofmark::{CaseId, Fingerprint, Mark};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The version of the format. A newer one is refused.
pub const FORMAT: u32 = 1;
/// How long a certificate holds, by level.
const DAYS: [(Level, i64); 2] = [(Level::Reproducible, 30), (Level::Certified, 90)];
/// Later runs that speak against a certificate, and by how much their median must differ.
const LATER: usize = 3;
const MOVED: f64 = 0.1;

/// One record that a certificate rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its id.
    pub record: String,
    /// SHA-256 over its id, its fingerprint and its samples, as JSON.
    pub digest: String,
    /// Whether the machine was loaded on purpose meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_load: bool,
}

impl Evidence {
    /// What a certificate keeps of a record.
    pub fn of(record: &Record, under_load: bool) -> Self {
        let told = (&record.id, &record.fingerprint.digest, &record.samples);
        // Numbers and texts have no way to fail.
        let text = serde_json::to_string(&told).unwrap_or_default();
        Self { record: record.id.clone(), digest: digest(text), under_load }
    }
}

/// Since when a certificate does not hold any more, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When this was found.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What is kept of an assessment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The case.
    pub case: CaseId,
    /// The key of the machine.
    pub machine: String,
    /// What its numbers prove.
    pub mark: Mark,
    /// `reproducible` or `certified`.
    pub level: Level,
    /// From 0 to 100.
    pub score: f64,
    /// The level of its times.
    pub estimate: Estimate,
    /// The parts of the score.
    pub checks: Vec<Check>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// Of what was measured.
    pub fingerprint: Fingerprint,
    /// The records that it rests on.
    pub evidence: Vec<Evidence>,
    /// Since when it does not hold, and why; null while it does.
    pub revoked: Option<Revocation>,
}

/// Whether a certificate holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It does.
    Holds,
    /// Its time is over.
    Expired,
    /// Something speaks against it.
    Revoked(String),
}

/// Why a certificate cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is none.
    #[error("it is not a certificate: {0}")]
    Json(#[from] serde_json::Error),
    /// A newer program wrote it.
    #[error("it is of format {0}, this version reads up to {FORMAT}: use a newer Proofmark")]
    Newer(u32),
}

impl Certificate {
    /// What an assessment deserves; nothing if that is nothing.
    pub fn issue(
        found: &Assessment,
        gathered: &Gathered,
        kind: &Kind<'_>,
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Option<Self> {
        // What did not run, or cannot show that it did, is no evidence of a machine.
        let mark = gathered.mark.filter(|mark| matches!(mark, Mark::Real | Mark::Software))?;
        let days = DAYS.iter().find(|(level, _)| *level == found.level)?.1;
        Some(Self {
            format: FORMAT,
            case: kind.case.clone(),
            machine: kind.machine.to_owned(),
            mark,
            level: found.level,
            score: found.score,
            estimate: found.estimate?,
            checks: found.checks.clone(),
            issued_at: now,
            expires_at: now.checked_add(SignedDuration::from_hours(24 * days)).ok()?,
            fingerprint: fingerprint.clone(),
            evidence: gathered.evidence.clone(),
            revoked: None,
        })
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is none, or a newer one.
    pub fn read(text: &str) -> Result<Self, CertificateError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(CertificateError::Newer(format));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Whether it holds, for what the case is now and for all records that there are, those under load apart.
    pub fn standing(
        &self,
        now: Timestamp,
        fingerprint: &Fingerprint,
        records: &[Record],
        loaded: &[Record],
    ) -> Standing {
        if let Some(revoked) = &self.revoked {
            return Standing::Revoked(revoked.reason.clone());
        }
        let spoken = self
            .changed(fingerprint)
            .or_else(|| self.without_evidence(records, loaded))
            .or_else(|| self.contradicted(records));
        match spoken {
            Some(reason) => Standing::Revoked(reason),
            None if now >= self.expires_at => Standing::Expired,
            None => Standing::Holds,
        }
    }

    /// Why it no longer holds for another fingerprint.
    fn changed(&self, fingerprint: &Fingerprint) -> Option<String> {
        let parts = self.fingerprint.changes(fingerprint);
        let differs = self.fingerprint.digest != fingerprint.digest;
        differs.then(|| format!("the fingerprint changed: {}", parts.join(", ")))
    }

    /// Evidence that is gone, or no longer what it was.
    fn without_evidence(&self, records: &[Record], loaded: &[Record]) -> Option<String> {
        let index = |records: &[Record], under_load: bool| -> HashMap<String, Evidence> {
            let named: std::collections::HashSet<&str> =
                self.evidence.iter().map(|evidence| evidence.record.as_str()).collect();
            let ours = records.iter().filter(|record| named.contains(record.id.as_str()));
            ours.map(|record| (record.id.clone(), Evidence::of(record, under_load))).collect()
        };
        let (calm, under_load) = (index(records, false), index(loaded, true));
        let fault = |evidence: &Evidence| {
            let known = if evidence.under_load { &under_load } else { &calm };
            match known.get(&evidence.record) {
                None => Some(format!("the record {} is gone", evidence.record)),
                Some(found) if found.digest != evidence.digest => {
                    Some(format!("the record {} was changed", evidence.record))
                }
                Some(_) => None,
            }
        };
        self.evidence.iter().find_map(fault)
    }

    /// Runs of the same code after it was issued that failed, or whose times are elsewhere.
    fn contradicted(&self, records: &[Record]) -> Option<String> {
        let kind = Kind {
            case: &self.case,
            machine: &self.machine,
            fingerprint: &self.fingerprint.digest,
        };
        let later = records.iter().filter(|r| kind.holds(r) && r.recorded_at > self.issued_at);
        let later: Vec<&Record> = later.collect();
        if let Some(failed) = later.iter().find(|record| record.outcome != Outcome::Passed) {
            let why = failed.message.as_deref().unwrap_or("it gave no message");
            let first = why.lines().next().unwrap_or(why);
            return Some(format!("a later run {}: {first}", failed.outcome.name()));
        }
        let of = |record: &&Record| {
            let samples = &record.samples;
            let dropped = samples.summary.map(|summary| summary.latency_ns_median);
            dropped.or_else(|| median(&samples.latency_ns))
        };
        let medians: Vec<f64> = later.iter().filter_map(of).collect();
        let moved = median(&medians)? * 1e-9 / self.estimate.median_s - 1.0;
        let allowed = MOVED.max(3.0 * self.estimate.half_width.unwrap_or(0.0));
        let speaks = medians.len() >= LATER && moved.abs() > allowed;
        speaks.then(|| {
            let direction = if moved > 0.0 { "slower" } else { "faster" };
            format!("{} later runs are {} {direction}", medians.len(), percent(moved.abs()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::tests::record;
    use super::super::{judge, records};
    use super::*;
    use proofmark::Part;

    fn records() -> Vec<Record> {
        let hours = (1..=6).chain(31..=36);
        hours.map(|hour| record(hour, 1e4)).collect()
    }

    fn loaded() -> Vec<Record> {
        vec![record(900, 3e4)]
    }

    /// Another shape, which a certificate needs to know how time grows with work.
    fn with_work(mut all: Vec<Record>) -> Vec<Record> {
        let mut other = record(500, 4e4);
        other.case.shape = "b4".into();
        other.metrics.operations_per_run = Some(4000);
        all.push(other);
        all
    }

    fn issue(all: &[Record]) -> Option<Certificate> {
        let case = "m/cpu/f32/b1".parse().unwrap();
        let fingerprint = record(1, 1.0).fingerprint;
        let kind = records::Kind { case: &case, machine: "here", fingerprint: &fingerprint.digest };
        let gathered = kind.gather(all, &loaded());
        let found = judge(&gathered.benchmark);
        Certificate::issue(&found, &gathered, &kind, &fingerprint, hour(1000))
    }

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(3600 * hour).unwrap()
    }

    #[track_caller]
    fn check(certificate: &Certificate, now: i64, all: &[Record], expected: &str) {
        let found = certificate.standing(hour(now), &certificate.fingerprint, all, &loaded());
        assert!(format!("{found:?}").contains(expected), "{found:?}");
    }

    #[test]
    fn a_certificate_names_its_evidence_and_expires() {
        let all = with_work(records());
        let certificate = issue(&all).unwrap();
        assert_eq!((certificate.level, certificate.evidence.len()), (Level::Certified, 13));
        check(&certificate, 1001, &all, "Holds");
        check(&certificate, 1000 + 24 * 89, &all, "Holds");
        check(&certificate, 1000 + 24 * 90, &all, "Expired");
        let text = serde_json::to_string(&certificate).unwrap();
        let read = Certificate::read(&text).unwrap();
        assert_eq!(
            (read.expires_at, &read.evidence),
            (certificate.expires_at, &certificate.evidence)
        );
        let newer = text.replacen("\"format\":1", "\"format\":2", 1);
        assert!(Certificate::read(&newer).unwrap_err().to_string().contains("format 2"));
        // One day and one boot are less, and hold for less.
        let short = issue(&with_work(records()[..6].to_vec())).unwrap();
        assert_eq!(short.level, Level::Reproducible);
        assert_eq!(short.expires_at, hour(1000 + 24 * 30));
    }

    #[test]
    fn what_speaks_against_it_revokes_it() {
        let all = with_work(records());
        let certificate = issue(&all).unwrap();
        let other = Fingerprint::new([Part::text("code", "2")]);
        let found = certificate.standing(hour(1001), &other, &all, &loaded());
        assert_eq!(found, Standing::Revoked("the fingerprint changed: code".into()));
        check(&certificate, 1001, &all[1..], "the record r-0001 is gone");
        let mut forged = all.clone();
        forged[2].samples.latency_ns[0] *= 0.5;
        check(&certificate, 1001, &forged, "the record r-0003 was changed");
        let later = |record: Record| [&all[..], &[record]].concat();
        let failed =
            Record { outcome: Outcome::Crashed, message: Some("gone".into()), ..record(1001, 1e4) };
        check(&certificate, 1002, &later(failed), "a later run crashed: gone");
        let skipped = Record { outcome: Outcome::Skipped, ..record(1001, 1e4) };
        check(&certificate, 1002, &later(skipped), "Holds");
        let slower = |count: i64| [&all[..], &slow(count)].concat();
        fn slow(count: i64) -> Vec<Record> {
            (1..=count).map(|i| record(1000 + i, 1.5e4)).collect()
        }
        check(&certificate, 1010, &slower(2), "Holds");
        check(&certificate, 1010, &slower(3), "3 later runs are 50.");
        let thinned: Vec<Record> = slow(3).iter().filter_map(crate::retention::thin).collect();
        check(&certificate, 1010, &[&all[..], &thinned].concat(), "3 later runs are 50.");
        let revoked = Revocation { at: hour(1), reason: "so".into() };
        let certificate = Certificate { revoked: Some(revoked), ..certificate };
        check(&certificate, 1001, &all, "Revoked(\"so\")");
    }

    #[test]
    fn what_did_not_run_or_is_not_known_gets_none() {
        let claimed = |mut record: Record| {
            record.mark = Some(Mark::Simulated);
            record
        };
        assert_eq!(issue(&records().into_iter().map(claimed).collect::<Vec<_>>()), None);
        assert_eq!(issue(&records()[..4]), None);
        assert_eq!(issue(&[]), None);
    }
}
