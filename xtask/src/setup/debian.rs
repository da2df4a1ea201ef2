//! Getting packages on Debian: installing them, or unpacking one that another suite has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::take_turn;
use crate::run::{self, announce, on_path};

/// What is there already, or is there after Debian's packages were installed, once per machine;
/// otherwise `what_to_do`, for a person.
pub fn found_or_installed<T>(
    find: impl Fn() -> Option<T>,
    what: &str,
    packages: &[&str],
    what_to_do: &str,
) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !can_install() {
        bail!("{what_to_do}");
    }
    let _turn = take_turn()?;
    if let Some(found) = find() {
        return Ok(found);
    }
    announce(&format!("Installing {what} (once per machine)"));
    if let Err(problem) = install(packages) {
        bail!("{problem:#}.\n{what_to_do}");
    }
    match find() {
        Some(found) => Ok(found),
        None => bail!("{what_to_do}"),
    }
}

/// Whether packages of the system can be installed from here.
pub fn can_install() -> bool {
    run::is_root() && on_path("apt-get").is_some()
}

/// Installs packages of the system.
pub fn install(packages: &[&str]) -> Result<()> {
    if let Err(problem) = run::visibly(&mut apt_get(&["update"])) {
        println!("{problem}; going on with the package lists that are there.");
    }
    let mut install = apt_get(&["install", "-y", "--no-install-recommends"]);
    run::visibly(install.args(packages))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "Dpkg::Use-Pty=0"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// One of Debian's suites, as seen through an entry that this machine already has.
/// Needs no rights: everything it fetches stays in a folder of its own.
pub struct Suite {
    folder: PathBuf,
}

impl Suite {
    /// Reads the package lists of a suite, which this machine need not follow otherwise.
    pub fn open(name: &str, folder: &Path) -> Result<Suite> {
        let entry = Entry::of_this_machine()?;
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        fs::write(folder.join("suite.sources"), entry.for_suite(name))?;
        let suite = Suite { folder: folder.to_owned() };
        run::visibly(&mut suite.apt("apt-get", &["update"]))?;
        Ok(suite)
    }

    /// The suite's versions of a package.
    pub fn versions(&self, package: &str) -> Vec<String> {
        let table = run::answer_if_any(&mut self.apt("apt-cache", &["madison", package]));
        let table = table.unwrap_or_default();
        table.lines().filter_map(|line| line.split('|').nth(1)).map(|version| version.trim().to_owned()).collect()
    }

    /// Downloads a package and unpacks its files into a folder.
    pub fn unpack(&self, package: &str, version: &str, into: &Path) -> Result<()> {
        let mut download = self.apt("apt-get", &["download"]);
        download.arg(format!("{package}={version}"));
        run::visibly(&mut download)?;
        let file = fs::read_dir(&self.folder)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .context("the package was not downloaded")?;
        run::visibly(Command::new("dpkg").arg("-x").arg(file).arg(into))
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Command {
        let folder = self.folder.display();
        let mut command = Command::new(program);
        command.arg("-q").current_dir(&self.folder);
        for option in [
            format!("Dir::Etc::sourcelist={folder}/suite.sources"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "APT::Get::List-Cleanup=0".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command.args(arguments);
        command
    }
}

/// Where this machine gets Debian from, and whose signature it trusts there.
#[derive(Debug, PartialEq)]
struct Entry {
    uri: String,
    /// The value of `Signed-By`, as it stands in the file; it may span several lines.
    signed_by: Option<String>,
}

impl Entry {
    fn of_this_machine() -> Result<Entry> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let Some(codename) = field(&release, "VERSION_CODENAME=") else {
            bail!("this system does not say which release of Debian it is");
        };
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            let mut more: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
            more.sort();
            files.extend(more);
        }
        for file in files {
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            let entry = match file.extension().and_then(|ending| ending.to_str()) {
                Some("sources") => Entry::in_stanzas(&text, &codename),
                Some("list") => Entry::in_lines(&text, &codename),
                _ => None,
            };
            if let Some(entry) = entry {
                return Ok(entry);
            }
        }
        bail!("no entry for Debian's {codename} stands under /etc/apt/");
    }

    /// From a `.list` file: `deb [signed-by=KEYRING] URI SUITE COMPONENT…`.
    fn in_lines(text: &str, codename: &str) -> Option<Entry> {
        text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("deb")?;
            let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            let uri = words.next()?.to_owned();
            let signed_by =
                options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
            (words.next()? == codename).then_some(Entry { uri, signed_by })
        })
    }

    /// From a `.sources` file: stanzas of `Name: value` lines.
    fn in_stanzas(text: &str, codename: &str) -> Option<Entry> {
        let uncommented: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let stanzas = uncommented.split(|line| line.trim().is_empty());
        stanzas.map(|lines| lines.join("\n")).find_map(|stanza| {
            let value = |name| field(&stanza, name);
            let follows = |list: Option<String>, word: &str| {
                list.is_some_and(|list| list.split_whitespace().any(|other| other == word))
            };
            let used = value("Enabled:").is_none_or(|answer| answer != "no");
            if !used || !follows(value("Types:"), "deb") || !follows(value("Suites:"), codename) {
                return None;
            }
            Some(Entry { uri: value("URIs:")?.split_whitespace().next()?.to_owned(), signed_by: value("Signed-By:") })
        })
    }

    /// The same place, another suite.
    fn for_suite(&self, suite: &str) -> String {
        let mut text = format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n", self.uri);
        if let Some(keys) = &self.signed_by {
            text.push_str(&format!("Signed-By: {keys}\n"));
        }
        text
    }
}

/// The value after a name at the start of a line, with the indented lines that continue it.
fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(name));
    let mut value = lines.next()?[name.len()..].trim().to_owned();
    for line in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push('\n');
        value.push_str(line);
    }
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_in_a_file_of_lines() {
        let text = "# deb http://commented.example bookworm main\n\
                    deb-src http://sources.example bookworm main\n\
                    deb http://security.example bookworm-security main\n\
                    deb [arch=amd64 signed-by=/keys/debian.gpg] http://mirror.example/ bookworm main\n";
        assert_eq!(
            Entry::in_lines(text, "bookworm"),
            Some(Entry { uri: "http://mirror.example/".to_owned(), signed_by: Some("/keys/debian.gpg".to_owned()) })
        );
        assert_eq!(Entry::in_lines(text, "trixie"), None);
    }

    #[test]
    fn an_entry_is_found_in_a_file_of_stanzas() {
        let text = "Types: deb\nURIs: http://security.example\nSuites: bookworm-security\n\n\
                    Types: deb deb-src\n# a note\nURIs: http://mirror.example/\n\
                    Suites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n KEY\n .\n END\n";
        let entry = Entry::in_stanzas(text, "bookworm").expect("the second stanza");
        assert_eq!(entry.uri, "http://mirror.example/");
        assert_eq!(
            entry.for_suite("trixie-backports"),
            "Types: deb\nURIs: http://mirror.example/\nSuites: trixie-backports\n\
             Components: main\nSigned-By: \n KEY\n .\n END\n"
        );
    }
}
