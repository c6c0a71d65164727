//! The `gocachevet` command.

fn main() -> std::process::ExitCode {
    gocachevet::cli::run(std::env::args_os())
}
