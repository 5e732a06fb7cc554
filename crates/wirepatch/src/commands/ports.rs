//! `--ports http=8080,8081`, and protocols by name.

use std::collections::BTreeMap;

use anyhow::Result;
use proto::Decoder;

use crate::output::Usage;

/// The protocol of that name.
pub(super) fn decoder(name: &str) -> Result<&'static dyn Decoder> {
    let names = || proto::DECODERS.iter().map(|decoder| decoder.protocol().name);
    proto::by_name(name).ok_or_else(|| {
        let help = match patch::nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Usage(format!("no protocol is called `{name}`; {help}")).into()
    })
}

/// Server ports by protocol.
pub(super) fn parse(list: &[String]) -> Result<BTreeMap<String, Vec<u16>>> {
    let mut ports: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for text in list {
        let wrong =
            || Usage(format!("--ports {text}: write PROTOCOL=PORT,PORT, as in http=8080,8081"));
        let (name, numbers) = text.split_once('=').ok_or_else(wrong)?;
        let name = decoder(name)?.protocol().name;
        for number in numbers.split(',') {
            let port: u16 = number.trim().parse().map_err(|_| wrong())?;
            if port == 0 {
                return Err(wrong().into());
            }
            ports.entry(name.to_owned()).or_default().push(port);
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_or_refused_with_what_to_write() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let read = parse(&list(&["http=8080,8081", "dns=5353", "http=3128"])).unwrap();
        assert_eq!(read["http"], [8080, 8081, 3128]);
        assert_eq!(read["dns"], [5353]);
        for (bad, says) in [
            ("http", "PROTOCOL=PORT"),
            ("http=0", "PROTOCOL=PORT"),
            ("httpp=80", "`http`?"),
            ("http=x", "PROTOCOL=PORT"),
        ] {
            let error = parse(&list(&[bad])).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(says), "{bad}: {error}");
        }
    }
}
