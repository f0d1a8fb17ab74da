//! From certificate files to their table, which always has what the files have now.

use super::{Store, StoreError};
use crate::certify::Level;
use crate::certify::certificate::Certificate;
use duckdb::{Connection, params};
use proofmark::Mark;
use proofmark::journal::Fault;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// `MODEL/ENDPOINT/PRECISION/SHAPE.json`.
const DEPTH: usize = 4;

impl Store {
    /// Makes the table of certificates anew from the files of a folder, all or nothing; says how many there are, and
    /// which files are none.
    ///
    /// # Errors
    /// The folder cannot be read, or the database cannot be written.
    pub fn ingest_certificates(&self, folder: &Path) -> Result<(usize, Vec<Fault>), StoreError> {
        let failed = |source| StoreError::Records { path: folder.to_owned(), source };
        let (mut certificates, mut faults) = (Vec::new(), Vec::new());
        for path in files(folder, DEPTH).map_err(failed)? {
            match fs::read_to_string(&path).map_err(|e| e.to_string()).and_then(|text| read(&text))
            {
                Ok(certificate) => certificates.push(certificate),
                Err(why) => {
                    let detail = format!("is no certificate that can be taken in: {why}");
                    faults.push(Fault { path, offset: 0, detail });
                }
            }
        }
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let count = replace(&transaction, &certificates).map_err(self.writing())?;
        transaction.commit().map_err(self.writing())?;
        Ok((count, faults))
    }
}

/// Of two certificates of a case, which lie where they should not, the first one counts.
fn replace(connection: &Connection, certificates: &[Certificate]) -> duckdb::Result<usize> {
    connection.execute_batch("DELETE FROM certifications")?;
    let sql = "INSERT OR IGNORE INTO certifications \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS VARCHAR[]))";
    let mut insert = connection.prepare(sql)?;
    let mut count = 0;
    for one in certificates {
        let records: Vec<_> = one.evidence.iter().map(|one| one.record.as_str()).collect();
        let revoked = one.revoked.as_ref();
        count += insert.execute(params![
            one.case.to_string(),
            one.machine,
            one.mark.name(),
            one.level.name(),
            one.score,
            one.estimate.median_s * 1e9,
            one.estimate.half_width,
            one.estimate.between,
            one.estimate.within,
            one.issued_at.to_string(),
            one.expires_at.to_string(),
            revoked.map(|revoked| revoked.at.to_string()),
            revoked.map(|revoked| revoked.reason.as_str()),
            one.fingerprint.digest,
            format!("[{}]", records.join(", "))
        ])?;
    }
    Ok(count)
}

/// The files so many folders deep, in the order of their paths; none if the folder is not there.
fn files(folder: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if depth > 1 && path.is_dir() {
            found.extend(files(&path, depth - 1)?);
        } else if depth == 1 && path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A certificate of a file. What the table refuses is refused here, with the reason.
fn read(text: &str) -> Result<Certificate, String> {
    let kept = Certificate::read(text).map_err(|error| error.to_string())?;
    if !matches!(kept.mark, Mark::Real | Mark::Software) {
        return Err(format!("it is marked {}, and what did not run is not certified", kept.mark));
    }
    let estimate = kept.estimate;
    let sizes =
        [Some(estimate.median_s), estimate.half_width, estimate.between, Some(estimate.within)];
    if !sizes.into_iter().flatten().all(|size| (0.0..=f64::MAX / 1e9).contains(&size))
        || !(0.0..=100.0).contains(&kept.score)
    {
        return Err("it has a number that cannot be".to_owned());
    }
    if kept.expires_at <= kept.issued_at || kept.evidence.is_empty() {
        return Err("it ends before it begins, or rests on nothing".to_owned());
    }
    if kept.level == Level::Unverified || kept.fingerprint.digest.is_empty() {
        return Err("it has no level, or no fingerprint".to_owned());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Folders;
    use serde_json::{Value as Json, json};

    fn certificate(shape: &str) -> Json {
        json!({
            "format": 1, "case": format!("m/cpu/f32/{shape}"), "machine": "here", "mark": "real", "level": "certified", "score": 92.5,
            "estimate": { "median_s": 0.002, "half_width": 0.01, "between": null, "within": 0.02 }, "checks": [],
            "issued_at": "2026-11-28T20:00:00Z", "expires_at": "2027-02-26T20:00:00Z",
            "fingerprint": { "digest": "f", "parts": [] },
            "evidence": [{ "record": "a-1", "digest": "d" }, { "record": "a-2", "digest": "e" }], "revoked": null
        })
    }

    #[test]
    fn the_table_has_what_the_files_have_now() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::below(folder.path());
        let db = folder.path().join("db");
        let place = folders.certificates.join("m/cpu/f32");
        let ingest =
            || Store::open(&db).unwrap().ingest_certificates(&folders.certificates).unwrap();
        assert_eq!(ingest(), (0, Vec::new()));
        fs::create_dir_all(&place).unwrap();
        let write =
            |name: &str, file: &Json| fs::write(place.join(name), file.to_string()).unwrap();
        write("b1.json", &certificate("b1"));
        write("b2.json", &certificate("b2"));
        write("b1.123.tmp", &certificate("b3"));
        assert_eq!(ingest(), (2, Vec::new()));
        let mut revoked = certificate("b2");
        revoked["revoked"] = json!({ "at": "2026-11-29T20:00:00Z", "reason": "it's slower" });
        write("b2.json", &revoked);
        fs::remove_file(place.join("b1.json")).unwrap();
        let sql = "SELECT case_id, level, latency_ns_median, between_processes, len(records) AS n, revoked_why FROM certifications";
        let expected = json!([{
            "case_id": "m/cpu/f32/b2", "level": "certified", "latency_ns_median": 2e6, "between_processes": null, "n": 2,
            "revoked_why": "it's slower",
        }]);
        assert_eq!(ingest(), (1, Vec::new()));
        let rows = || json!(Store::open_read_only(&db).unwrap().query(sql).unwrap().objects());
        assert_eq!(rows(), expected);
        Store::rebuild(&db, &folders).unwrap();
        assert_eq!(rows(), expected);
    }

    #[test]
    fn files_that_certify_nothing_are_told_and_cost_only_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::below(folder.path());
        let place = folders.certificates.join("m/cpu/f32");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("good.json"), certificate("good").to_string()).unwrap();
        let bad = [
            ("mark", json!("simulated"), "marked simulated"),
            ("level", json!("unverified"), "no level"),
            ("score", json!(101), "cannot be"),
            (
                "estimate",
                json!({ "median_s": -1, "half_width": null, "between": null, "within": 0 }),
                "cannot be",
            ),
            ("expires_at", json!("2026-11-28T20:00:00Z"), "ends before"),
            ("evidence", json!([]), "rests on nothing"),
            ("format", json!(99), "format 99"),
        ];
        for (index, (key, value, _)) in bad.iter().enumerate() {
            let mut file = certificate("bad");
            file[*key] = value.clone();
            fs::write(place.join(format!("bad{index}.json")), file.to_string()).unwrap();
        }
        let store = Store::open(&folder.path().join("db")).unwrap();
        let (count, faults) = store.ingest_certificates(&folders.certificates).unwrap();
        assert_eq!((count, faults.len()), (1, bad.len()), "{faults:?}");
        for ((_, _, says), fault) in bad.iter().zip(faults) {
            assert!(fault.detail.contains(says), "{fault:?}");
        }
    }
}
