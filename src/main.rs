//! The `gocachevet` command.

fn main() -> std::process::ExitCode {
    gocachevet::commands::run(std::env::args_os())
}
