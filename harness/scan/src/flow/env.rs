//! What variables hold: a table that can be taken back to where it was, at the cost of what has changed since.

use super::Value;
use std::collections::BTreeMap;

/// Variables and paths by name.
#[derive(Debug, Default)]
pub(crate) struct Env {
    held: BTreeMap<String, Value>,
    /// Of each way that is being walked, what was held before it by what it has changed.
    before: Vec<Changes>,
}

/// What names hold that have changed, or that they hold nothing.
pub(crate) type Changes = BTreeMap<String, Option<Value>>;

impl Env {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.held.get(name)
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        *self.changed(name) = value;
    }

    /// What a name holds, to be changed.
    pub(super) fn changed(&mut self, name: &str) -> &mut Value {
        self.note(name);
        self.held.entry(name.to_owned()).or_default()
    }

    /// Forgets all that a path starts with.
    pub(super) fn forget(&mut self, prefix: &str) {
        let inner = self.held.range(prefix.to_owned()..).map(|(path, _)| path);
        let inner: Vec<String> =
            inner.take_while(|path| path.starts_with(prefix)).cloned().collect();
        for path in inner {
            self.remove(&path);
        }
    }

    fn remove(&mut self, name: &str) {
        self.note(name);
        self.held.remove(name);
    }

    /// Begins a way, which `end` takes back.
    pub(super) fn begin(&mut self) {
        self.before.push(Changes::new());
    }

    /// Takes the table back to where the way began, and gives what it has changed.
    pub(super) fn end(&mut self) -> Changes {
        let mut changed = self.before.pop().unwrap_or_default();
        for (name, value) in &mut changed {
            let now = match value.take() {
                Some(old) => self.held.insert(name.clone(), old),
                None => self.held.remove(name),
            };
            *value = now;
        }
        changed
    }

    /// Goes on with what any of these ways leaves.
    pub(super) fn join(&mut self, ways: &[Changes]) {
        let mut names: Vec<&String> = ways.iter().flat_map(Changes::keys).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let before = self.held.get(name);
            let left = ways.iter().filter_map(|way| way.get(name).map_or(before, Option::as_ref));
            match left.cloned().reduce(Value::or) {
                Some(value) => self.set(name, value),
                None => self.remove(name),
            }
        }
    }

    fn note(&mut self, name: &str) {
        if let Some(before) = self.before.last_mut()
            && !before.contains_key(name)
        {
            before.insert(name.to_owned(), self.held.get(name).cloned());
        }
    }
}
