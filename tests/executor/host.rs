//! What only the host does, and the contract on it.

mod contract {
    crate::contract::hold_contract!(crate::world::HostWorld);
}
