//! What only the fake executor does, and the contract on it.

mod contract {
    crate::contract::hold_contract!(crate::world::FakeWorld);
}
