//! What a server answers beside the JSON interface.

use axum::Router;

use crate::http::App;

/// Something that people do through a route, in the words of the audit log, such as `cancel_run`.
pub type Operation = (&'static str, &'static str, &'static str);

/// Routes beside those of the interface.
#[derive(Debug)]
pub struct Beside {
    /// The routes.
    pub routes: Router<App>,
    /// What is done through them: method, route and name.
    pub operations: Vec<Operation>,
    /// What is laid around all routes.
    pub dress: fn(Router<App>, &App) -> Router<App>,
}

impl Default for Beside {
    fn default() -> Self {
        Self { routes: Router::new(), operations: Vec::new(), dress: |it, _| it }
    }
}
