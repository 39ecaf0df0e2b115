#![allow(warnings, missing_docs)]
use crate::executor::*;
use crate::model::AttemptName;
macro_rules! standin {
    ($t:ident) => {
        #[derive(Debug, Clone)]
        pub struct $t;
        impl Executor for $t {
            async fn prepare(
                &self,
                _: &PrepareSpec,
                _: &(dyn Fn(String) + Send + Sync),
            ) -> Result<(), ExecutorError> {
                unimplemented!()
            }
            async fn upload(
                &self,
                _: &AttemptName,
                _: &str,
                _: TarStream,
            ) -> Result<(), ExecutorError> {
                unimplemented!()
            }
            async fn begin(&self, _: &AttemptName, _: &BeginSpec) -> Result<(), ExecutorError> {
                unimplemented!()
            }
            async fn follow(&self, _: &AttemptName) -> Result<LogStream, ExecutorError> {
                unimplemented!()
            }
            async fn wait(&self, _: &AttemptName) -> Result<Exit, ExecutorError> {
                unimplemented!()
            }
            async fn signal(&self, _: &AttemptName, _: Signal) -> Result<(), ExecutorError> {
                unimplemented!()
            }
            async fn published(&self, _: &AttemptName) -> Result<Published, ExecutorError> {
                unimplemented!()
            }
            async fn download(
                &self,
                _: &AttemptName,
                _: &str,
            ) -> Result<Option<TarStream>, ExecutorError> {
                unimplemented!()
            }
            async fn remove(&self, _: &AttemptName) -> Result<(), ExecutorError> {
                unimplemented!()
            }
            async fn list(&self, _: &str) -> Result<Vec<Found>, ExecutorError> {
                Ok(Vec::new())
            }
            async fn build(
                &self,
                _: &BuildSpec,
                _: &(dyn Fn(String) + Send + Sync),
            ) -> Result<BuiltImage, ExecutorError> {
                unimplemented!()
            }
            async fn image_digest(&self, _: &str) -> Result<Option<String>, ExecutorError> {
                unimplemented!()
            }
            async fn image_user(
                &self,
                _: &str,
                _: spec::Pull,
                _: Option<&str>,
                _: &(dyn Fn(String) + Send + Sync),
            ) -> Result<(u32, u32), ExecutorError> {
                Ok((0, 0))
            }
            async fn state(&self, _: &AttemptName) -> Result<AttemptState, ExecutorError> {
                unimplemented!()
            }
        }
    };
}
standin!(HostExecutor);
pub struct HostSettings {
    pub state_folder: std::path::PathBuf,
}
impl HostExecutor {
    pub fn new(_: HostSettings) -> Result<Self, ExecutorError> {
        Ok(Self)
    }
}
