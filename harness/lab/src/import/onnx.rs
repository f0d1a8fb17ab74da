//! ONNX Runtime's profile: what each node took, each operator over its nodes, and each stage of a session.

use super::trace::{Each, Event, Tallies, duration, whole};
use super::{Found, ImportError, Tool};

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut tallies = Tallies::default();
    whole(Tool::OnnxRuntime, bytes, Each(|event| add(&mut tallies, &event)))?;
    let mut found = Found::default();
    tallies.results(&mut found);
    Ok(found)
}

fn add(tallies: &mut Tallies, event: &Event<'_>) -> Result<(), String> {
    if event.ph != "X" {
        tallies.other += 1;
        return Ok(());
    }
    let Some(duration_us) = duration(event) else {
        tallies.odd += 1;
        return Ok(());
    };
    let (op, provider) = (&*event.args.op_name, &*event.args.provider);
    match &*event.cat {
        "Session" | "Api" => {
            let name = format!("{}/{}", event.cat.to_ascii_lowercase(), event.name);
            tallies.add(name, [], duration_us)
        }
        "Node" => match event.name.strip_suffix("_kernel_time") {
            Some(node) => {
                // A node whose name is used twice, or one that ran in two places, is no single node.
                let name = format!("node/{node}{}", on(provider));
                tallies.add(name, [("op", op), ("provider", provider)], duration_us)?;
                tallies.add(
                    format!("op/{op}{}", on(provider)),
                    [("provider", provider)],
                    duration_us,
                )
            }
            // Fences of older versions, which are waits around a node.
            None => {
                tallies.other += 1;
                Ok(())
            }
        },
        _ => {
            tallies.other += 1;
            Ok(())
        }
    }
}

fn on(provider: &str) -> String {
    if provider.is_empty() { String::new() } else { format!("@{provider}") }
}
