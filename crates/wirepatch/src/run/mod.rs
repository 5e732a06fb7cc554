//! `wirepatch run`: the appliance. Everything slow lives here, on ordinary threads. The packet path
//! is in `datapath`.

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
use patch::Diagnostic;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::RunArgs;
use crate::output::say_error;
use appliance::Appliance;
use dataplane::Dataplane;
use log::Log;
use metrics::MetricsServer;

/// How often lcores are looked after and retired plans are freed.
const ROUND: Duration = Duration::from_millis(200);

/// Runs until SIGTERM or SIGINT. SIGHUP reloads.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    // Before any thread is started: all inherit the blocked set, and only this one gets signals.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("registering signal handlers")?;
    match load(args) {
        Ok((config, log, appliance)) => serve(&config, log, appliance, signals),
        Err(found) => {
            say_error(&patch::render(&found));
            Ok(ExitCode::from(1))
        }
    }
}

/// Reads the configuration and its patches. Nothing runs yet.
fn load(args: &RunArgs) -> core::result::Result<(Config, Log, Appliance), Vec<Diagnostic>> {
    let config = Config::load(&args.config)?;
    let log = Log::new(&config.settings.logging);
    let appliance = Appliance::load(config.clone(), log)?;
    Ok((config, log, appliance))
}

/// Starts lcores and servers, looks after them, and takes them down.
fn serve(config: &Config, log: Log, appliance: Appliance, signals: Signals) -> Result<ExitCode> {
    let mut dataplane = Dataplane::start(config, appliance.publisher(), log)?;
    appliance.watch(dataplane.watched())?;
    let (speeds, ghz) = dataplane.speeds(config);
    for warning in appliance.budget_warnings(&speeds, ghz) {
        log.warn(&warning);
    }
    let appliance = Arc::new(appliance);
    let listen = config.settings.metrics.listen;
    let metrics = MetricsServer::start(listen, {
        let appliance = Arc::clone(&appliance);
        move || appliance.metrics()
    })?;
    let socket = config.control_socket();
    let control = ControlServer::start(socket.clone(), config.settings.control.permissions, {
        let appliance = Arc::clone(&appliance);
        move |request| appliance.answer(request)
    })?;
    log.info(&format!(
        "forwarding: {}; /metrics on http://{listen}, control on {}",
        appliance.summary(),
        socket.display()
    ));
    let code = look_after(signals, &appliance, &mut dataplane, log);
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

/// Answers signals, frees retired plans, and ends with the first lcore that ends.
fn look_after(
    mut signals: Signals,
    appliance: &Appliance,
    dataplane: &mut Dataplane,
    log: Log,
) -> ExitCode {
    loop {
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
            return ExitCode::SUCCESS;
        }
        if let Some(why) = dataplane.ended() {
            log.error(&format!(
                "a busy lcore ended: {why}; stopping, so that the supervisor starts afresh"
            ));
            return ExitCode::FAILURE;
        }
    }
}
