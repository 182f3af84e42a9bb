//! A bare OVSDB server, to try clients against: `serve FILE REMOTE...`

use std::error::Error;

use tokio::task::LocalSet;
use weft_ovsdb::{Server, ServerConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: serve FILE REMOTE...")?;
    let config = arguments.fold(ServerConfig::new(file), ServerConfig::remote);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let server = Server::start(config).await?;
        tokio::signal::ctrl_c().await?;
        server.stop().await;
        Ok(())
    })
}
