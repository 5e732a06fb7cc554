//! `wirepatch run`: the appliance. Everything slow lives here, on ordinary threads; the packet path is in `datapath`.

mod appliance;
pub(crate) mod cpus;
mod dataplane;
mod log;
mod metrics;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use control::{Config, ControlServer};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::RunArgs;
use appliance::Appliance;
use dataplane::Dataplane;
use log::Log;
use metrics::MetricsServer;

/// How often lcores are looked after and retired plans are freed.
const ROUND: Duration = Duration::from_millis(200);

/// Runs until SIGTERM or SIGINT. SIGHUP reloads.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(found) => {
            crate::output::say_error(&patch::render(&found));
            return Ok(ExitCode::from(1));
        }
    };
    let log = Log::new(&config.settings.logging);
    // Before any thread is started, so that all inherit the blocked set and only this one is told.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).context("registering signal handlers")?;
    let appliance = match Appliance::load(config.clone(), log) {
        Ok(appliance) => appliance,
        Err(found) => {
            crate::output::say_error(&patch::render(&found));
            return Ok(ExitCode::from(1));
        }
    };
    let mut dataplane = Dataplane::start(&config, appliance.publisher(), log)?;
    appliance.watch(dataplane.watched())?;
    let (speeds, ghz) = dataplane.speeds(&config);
    for warning in appliance.budget_warnings(&speeds, ghz) {
        log.warn(&warning);
    }
    let appliance = Arc::new(appliance);
    let metrics = MetricsServer::start(config.settings.metrics.listen, {
        let appliance = Arc::clone(&appliance);
        move || appliance.metrics()
    })?;
    let socket = config.control_socket();
    let control = ControlServer::start(socket.clone(), config.settings.control.permissions, {
        let appliance = Arc::clone(&appliance);
        move |request| appliance.answer(request)
    })?;
    log.info(&format!(
        "forwarding: {}; /metrics on http://{}, control on {}",
        appliance.summary(),
        config.settings.metrics.listen,
        socket.display()
    ));

    let code = loop {
        std::thread::sleep(ROUND);
        appliance.tidy();
        let mut stop = false;
        for signal in signals.pending() {
            if signal == SIGHUP {
                // The outcome is logged and counted.
                let _answer = appliance.reload();
            } else {
                log.info("stopping");
                stop = true;
            }
        }
        if stop {
            break ExitCode::SUCCESS;
        }
        if let Some(why) = dataplane.ended() {
            log.error(&format!(
                "a busy lcore ended: {why}; stopping, so that the supervisor starts afresh"
            ));
            break ExitCode::FAILURE;
        }
    };
    drop(control);
    drop(metrics);
    drop(appliance);
    let missing = dataplane.stop()?;
    if missing > 0 {
        log.error(&format!("{missing} mbufs missing from the pool at the end"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(code)
}
