//! Every case as a test.

fn main() -> std::process::ExitCode {
    proofmark::conformance(proofmark_models::suite())
}
