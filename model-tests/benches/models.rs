//! Every case as a bench; also the program that `cargo xtask` speaks with.

fn main() -> std::process::ExitCode {
    proofmark::bench(proofmark_models::suite())
}
