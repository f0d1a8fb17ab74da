//! The decision core of the regression gate: from samples of independent processes of base and head to a verdict.
//!
//! Pure. Running processes is not here. `docs/STATISTICS.md` says what the words mean, what is
//! assumed, and how often the verdicts are right. The path of a case:
//!
//! ```text
//! case ──► level ──► posterior ──► evidence ──► judge
//! read     a process  a difference  prior        verdict
//! ```
//!
//! A live gate is a `trial`: `pairing` chooses the cases, `sequential` says when to look and to stop, `control` whether
//! the machine was fit, `metric` compares what needs no statistics.
//!
//! `exact` is what needs no model, `family` corrects for many cases, `power` says what could have been found, and
//! `density` is the arithmetic below `posterior`.

pub mod bisection;
pub mod calibration;
pub mod case;
pub mod control;
pub mod density;
pub mod evidence;
pub mod exact;
pub mod family;
pub mod judge;
pub mod level;
pub mod metric;
pub mod pairing;
pub mod posterior;
pub mod power;
pub mod prior;
pub mod result;
pub mod sequential;
pub mod trial;

pub use case::{Case, ReplayError, Sides, read};
pub use evidence::{FITTED, Model};
pub use judge::{Family, Judgement, Options, OptionsError, PRE_STUDY_ODDS, Verdict, judge};
pub use metric::{Finding, Metric};
pub use pairing::{Affected, Pairing, pair};
pub use result::{Calibration, Gate, Outcome, Ran, Revision, Setup};
pub use trial::{Conclusion, Side, Task, Trial};
