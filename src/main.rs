//! The `gocachevet` command.

fn main() -> std::process::ExitCode {
    gocachevet::run(std::env::args_os())
}
