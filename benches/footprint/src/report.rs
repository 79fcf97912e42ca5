//! What was measured, as tables.

use std::fmt::Write;

use crate::image::Image;

/// A client, measured.
pub struct Measured {
    pub target: &'static str,
    pub client: &'static str,
    pub features: &'static str,
    pub level: &'static str,
    pub image: Image,
    /// The flash of an image that does nothing.
    pub empty: u64,
}

/// All that was measured.
#[derive(Default)]
pub struct Report {
    pub clients: Vec<Measured>,
    /// The image of statics, per target.
    pub sizes: Vec<(&'static str, Image)>,
}

impl Measured {
    /// What the client takes besides the routines that other firmware has anyway.
    pub fn flash(&self) -> u64 {
        self.whole().saturating_sub(self.image.memory_routines())
    }

    fn whole(&self) -> u64 {
        self.image.flash().saturating_sub(self.empty)
    }

    /// How budgets name it.
    pub fn name(&self) -> String {
        let versions: Vec<&str> = self.features.split(',').filter(|feature| feature.starts_with('v')).collect();
        format!("{}-{}", self.client, versions.join("-"))
    }
}

impl Report {
    /// The smallest client of each name.
    pub fn best(&self) -> Vec<&Measured> {
        let mut best: Vec<&Measured> = Vec::new();
        for client in &self.clients {
            match best.iter_mut().find(|other| other.target == client.target && other.name() == client.name()) {
                Some(other) if client.flash() < other.flash() => *other = client,
                Some(_) => {}
                None => best.push(client),
            }
        }
        best
    }

    pub fn markdown(&self, functions: usize) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, functions);
        text
    }

    fn write(&self, to: &mut String, functions: usize) -> std::fmt::Result {
        writeln!(to, "| target | image | opt-level | flash | + memory routines | largest frame | deepest stack |")?;
        writeln!(to, "|---|---|---|--:|--:|--:|--:|")?;
        for client in &self.clients {
            let Measured { target, level, image, .. } = client;
            let (name, flash, routines) = (client.name(), client.flash(), image.memory_routines());
            let frame = image.largest_frame();
            writeln!(to, "| {target} | {name} | {level} | {flash} | {routines} | {frame} | {} |", image.deepest.bytes)?;
        }
        writeln!(
            to,
            "\nFlash: bytes of the image less those of an empty one. Largest frame: of the functions of the crate.\n"
        )?;
        writeln!(to, "| target | session 8 + 8 | session 16 + 16 | inbox |")?;
        writeln!(to, "|---|--:|--:|--:|")?;
        for (target, image) in &self.sizes {
            let [small, large, inbox] = ["SESSION_8", "SESSION_16", "INBOX"].map(|name| image.size_of(name));
            writeln!(to, "| {target} | {small} | {large} | {inbox} |")?;
        }
        writeln!(to, "\nBytes of memory besides those of packets.")?;
        for client in self.best() {
            write_functions(to, client, functions)?;
        }
        Ok(())
    }
}

/// The largest functions of an image.
fn write_functions(to: &mut String, client: &Measured, count: usize) -> std::fmt::Result {
    writeln!(to, "\n{} for {} at opt-level {}:\n", client.name(), client.target, client.level)?;
    writeln!(to, "| bytes | frame | function |")?;
    writeln!(to, "|--:|--:|---|")?;
    for function in client.image.functions.iter().take(count) {
        let frame = function.frame.map_or_else(|| "?".to_owned(), |frame| frame.to_string());
        writeln!(to, "| {} | {frame} | `{}` |", function.size, function.name)?;
    }
    writeln!(to, "\nThe deepest stack, {} bytes:\n", client.image.deepest.bytes)?;
    for name in &client.image.deepest.chain {
        writeln!(to, "* `{name}`")?;
    }
    Ok(())
}
