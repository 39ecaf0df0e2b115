//! Every endpoint against every role.
