//! What is bound to an account, as a letter lists it for an owner who may not have bound it.

use crate::domain::factor::Method;

/// What is bound to an account whose address was proven for the first time. Names are as clients chose them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Bound {
    /// Phones that approve logins.
    pub(crate) phones: Vec<String>,
    /// Other devices that are logged in.
    pub(crate) devices: Vec<String>,
    /// Devices that are not asked for a second factor.
    pub(crate) trusted: Vec<String>,
    pub(crate) methods: Vec<Method>,
}
