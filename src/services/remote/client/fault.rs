//! What can go wrong between here and a service, told apart because each
//! calls for another remedy.

use crate::net;

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing came back.
    #[error(transparent)]
    Net(#[from] net::Fault),
    /// The service failed (5xx), again and again.
    #[error("failed with status {0}")]
    Failed(u16),
    /// Too many requests, and the wait asked for is longer than the patience left.
    #[error("rate limit reached; retry in {0} s")]
    RateLimited(u64),
    /// The token may not do this.
    #[error("permission denied: {message}{}", advice(.needs.as_deref()))]
    Forbidden {
        /// What the service says.
        message: String,
        /// The workflow permission that is missing, such as `actions: write`;
        /// `None` when the refusal does not come from the token.
        needs: Option<String>,
    },
    /// Not there, or not for this token to see.
    #[error("not found, or not visible with this token")]
    NotFound,
    /// Any other status.
    #[error("answered with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the service says.
        message: String,
    },
    /// The answer is not JSON, or not of the documented form.
    #[error("answer not understood: {0}")]
    Malformed(String),
    /// A list that does not end.
    #[error("list does not end: {0}")]
    Endless(String),
}

fn advice(needs: Option<&str>) -> String {
    needs.map_or_else(String::new, |permission| {
        format!("; add `{permission}` under `permissions:` in the workflow")
    })
}
