//! The browsers that are installed here, each with the drivers that may fit it. Finding them starts nothing; their
//! versions are asked when one is to be started.

use crate::browsers::{self, Kind};
use crate::env;
use crate::error::Error;
use crate::fetch;
use crate::process;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// By which a loader says that a library is missing.
const NO_LIBRARY: &str = "error while loading shared libraries";

/// A browser of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Which one.
    pub kind: Kind,
    /// The name of its program, or of the package that was fetched.
    pub name: String,
    /// Its program.
    pub browser: PathBuf,
    /// Programs that may drive it, the preferred first; never empty.
    pub drivers: Vec<PathBuf>,
    /// What is set for it, such as where its own libraries are.
    pub variables: BTreeMap<String, String>,
    /// A folder with libraries for a system that lacks them.
    pub spare_libraries: Option<PathBuf>,
}

/// What a browser that is to be started, and the driver that fits it, say of themselves.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    pub(crate) driver: PathBuf,
    pub(crate) variables: BTreeMap<String, String>,
}

/// The browsers of this kind, the preferred first: those that are installed, then the one that was fetched. A
/// variable that names one leaves only that. Never empty: the error says what is missing and how to get it.
pub fn installed(kind: Kind) -> Result<Vec<Installed>, Error> {
    let places = kind.places();
    let absent = |why: String| Error::Absent { kind, why, remedy: places.remedy.to_owned() };
    let [browser, driver] = [places.browser_variable, places.driver_variable].map(named);
    let drivers = match driver.map_err(absent)? {
        Some(driver) => vec![driver],
        None => browsers::driver_files(kind),
    };
    let shell = fetch::shell_files().filter(|_| kind == Kind::Chromium);
    let fetched = shell.filter(|files| files.browser.is_file() && files.driver.is_file());
    let browsers = match browser.map_err(absent)? {
        Some(browser) => vec![browser],
        None => browsers::browser_files(kind),
    };
    let is_open = env::var(places.browser_variable).is_none();
    let mut found = Vec::new();
    if !drivers.is_empty() {
        found.extend(browsers.iter().map(|browser| of_system(kind, browser, &drivers)));
    }
    found.extend(fetched.filter(|_| is_open).map(|files| of_package(&files, &drivers)));
    if found.is_empty() {
        return Err(absent(match browsers.first() {
            None => "no such browser was found".to_owned(),
            Some(browser) => format!("{} is there, but no driver for it", browser.display()),
        }));
    }
    Ok(found)
}

/// The program that a variable names. What a person asks for by name is not replaced by something else.
fn named(variable: &str) -> Result<Option<PathBuf>, String> {
    env::var(variable).map(|file| existing(variable, file.into())).transpose()
}

fn existing(variable: &str, file: PathBuf) -> Result<PathBuf, String> {
    let is_there = file.is_file();
    let missing = format!("{variable} is {}, which is no file", file.display());
    is_there.then_some(file).ok_or(missing)
}

fn of_system(kind: Kind, browser: &Path, drivers: &[PathBuf]) -> Installed {
    let name = browser.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Installed {
        kind,
        name,
        browser: browser.to_owned(),
        drivers: drivers.to_vec(),
        variables: BTreeMap::new(),
        spare_libraries: None,
    }
}

/// The headless shell, with its own driver first.
fn of_package(files: &fetch::ShellFiles, drivers: &[PathBuf]) -> Installed {
    let own = std::iter::once(files.driver.clone());
    Installed {
        kind: Kind::Chromium,
        name: fetch::SHELL.to_owned(),
        browser: files.browser.clone(),
        drivers: own.chain(drivers.iter().cloned()).collect(),
        variables: BTreeMap::from([library_path(&[&files.folder])]),
        spare_libraries: Some(files.libraries.clone()),
    }
}

/// The loader's variable, with these folders before what it has.
fn library_path(folders: &[&Path]) -> (String, String) {
    let name = "LD_LIBRARY_PATH";
    let mut parts: Vec<_> = folders.iter().map(|f| f.to_string_lossy().into_owned()).collect();
    parts.extend(env::var(name));
    (name.to_owned(), parts.join(":"))
}

impl Installed {
    /// The driver to take, and what has to be set. Only Chromium's drivers belong to one version.
    pub(crate) fn versions(&self) -> Result<Versions, Error> {
        let first = self.drivers.first().ok_or_else(|| self.lacks("no driver was found"))?;
        if !self.kind.is_chromium() {
            return Ok(Versions { driver: first.clone(), variables: self.variables.clone() });
        }
        let (version, variables) = self.browser_version()?;
        let wanted =
            major(&version).ok_or_else(|| self.lacks(&unclear(&self.browser, &version)))?;
        let (mut seen, mut others) = (Vec::new(), 0);
        for driver in &self.drivers {
            let said = process::output_of(driver, &["--version"], &BTreeMap::new(), PATIENCE);
            match said {
                Ok(said) if major(&said) == Some(wanted) => {
                    return Ok(Versions { driver: driver.clone(), variables });
                }
                Ok(said) => {
                    others += 1;
                    seen.push(format!("{} is {}", driver.display(), short(&said)));
                }
                Err(said) => seen.push(said),
            }
        }
        if others == 0 {
            return Err(self.lacks(&format!("no driver runs: {}", seen.join(", "))));
        }
        Err(Error::Version {
            browser: version.clone(),
            wanted: wanted.to_owned(),
            drivers: seen.join(", "),
            remedy: self.kind.places().remedy.to_owned(),
        })
    }

    /// What the browser and its driver say of their versions, for people. Starts both for a moment.
    pub fn described(&self) -> Result<(String, String), Error> {
        let Versions { driver, variables } = self.versions()?;
        let ask = |program: &Path| {
            let said = process::output_of(program, &["--version"], &variables, PATIENCE);
            said.map_or_else(|_| "tells no version".to_owned(), |said| short_version(&said))
        };
        Ok((ask(&self.browser), format!("{} ({})", ask(&driver), driver.display())))
    }

    /// What the browser says, and the variables with which it could say it.
    fn browser_version(&self) -> Result<(String, BTreeMap<String, String>), Error> {
        let ask = |variables: &BTreeMap<String, String>| {
            process::output_of(&self.browser, &["--version"], variables, PATIENCE)
        };
        let mut variables = self.variables.clone();
        let said = match (ask(&variables), &self.spare_libraries) {
            (Err(said), Some(spare)) if said.contains(NO_LIBRARY) => {
                let own = self.browser.parent().unwrap_or(Path::new("/"));
                variables.extend([library_path(&[own, spare])]);
                ask(&variables)
            }
            (said, _) => said,
        };
        match said {
            Ok(version) => Ok((version, variables)),
            Err(said) => Err(self.lacks(&said)),
        }
    }

    fn lacks(&self, why: &str) -> Error {
        let remedy = self.kind.places().remedy.to_owned();
        Error::Absent { kind: self.kind, why: why.to_owned(), remedy }
    }
}

fn unclear(program: &Path, said: &str) -> String {
    format!("`{} --version` names no version: {said}", program.display())
}

/// `147` of `Chromium 147.0.7727.0`: the first word that begins with a number and a dot.
fn major(said: &str) -> Option<&str> {
    let numbers = said.split_ascii_whitespace().filter_map(|word| word.split_once('.'));
    let mut majors = numbers.map(|(major, _)| major);
    majors.find(|major| !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The first line, without what some add in parentheses or behind the version.
fn short_version(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    let line = line.split(" built on").next().unwrap_or_default();
    line.split(" (").next().unwrap_or_default().trim().to_owned()
}

/// The program and its version, without the revision that some add.
fn short(said: &str) -> String {
    said.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_no_file_is_told() {
        let message = existing("PROOFMARK_EDGE", "/no/such/edge".into()).unwrap_err();
        assert_eq!(message, "PROOFMARK_EDGE is /no/such/edge, which is no file");
        assert_eq!(existing("X", "/bin/sh".into()), Ok("/bin/sh".into()));
    }

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(
            major("Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)"),
            Some("156")
        );
        assert_eq!(major("Google Chrome 147.0.7727.117 "), Some("147"));
        assert_eq!(major("ChromeDriver 147.0.7727.117 (474cc805edd6-refs/x@{#4})"), Some("147"));
        assert_eq!(major("no version"), None);
        assert_eq!(short("ChromeDriver 1.0 (x y)"), "ChromeDriver 1.0");
    }
}
