//! How much stack an image takes: the frames of its functions, and the deepest chain of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use crate::image::demangled;

/// The frame of each function, by address.
pub type Frames = BTreeMap<u64, u64>;

/// The chain of calls that takes most stack.
#[derive(Clone, Debug, Default)]
pub struct Deepest {
    pub bytes: u64,
    /// Who calls whom.
    pub chain: Vec<String>,
}

/// A function with its code.
struct Code<'d> {
    name: String,
    bytes: &'d [u8],
}

/// Where instructions and where constants begin.
type Marks = BTreeMap<u64, Mark>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Instructions,
    Constants,
}

/// What a function calls.
#[derive(Default)]
struct Calls {
    known: BTreeSet<u64>,
    /// It also calls what a register says.
    unknown: bool,
}

/// What the compiler says: an address and, in groups of seven bits, a number of bytes.
pub fn frames<'d>(file: &impl Object<'d>) -> Result<Frames, Box<dyn Error>> {
    let Some(section) = file.section_by_name(".stack_sizes") else { return Ok(Frames::new()) };
    let mut rest = section.data()?;
    let mut frames = Frames::new();
    while let Some((address, behind)) = rest.split_first_chunk() {
        let (mut size, mut shift) = (0, 0);
        rest = behind;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            size |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        frames.insert(u64::from(u32::from_le_bytes(*address)) & !1, size);
    }
    Ok(frames)
}

/// The deepest chain of calls from the entry on. What is called through a register may be any function that nobody calls by
/// its address; runtime routines, whose frames are not known, count as nothing.
pub fn deepest<'d>(file: &impl Object<'d>, frames: &Frames) -> Result<Deepest, Box<dyn Error>> {
    let (code, marks) = (code(file)?, marks(file));
    let calls: BTreeMap<u64, Calls> =
        code.iter().map(|(&at, function)| (at, calls(at, function, &code, &marks))).collect();
    let called: BTreeSet<u64> = calls.values().flat_map(|calls| calls.known.iter().copied()).collect();
    let entry = file.entry() & !1;
    let uncalled: BTreeSet<u64> = code.keys().copied().filter(|at| *at != entry && !called.contains(at)).collect();
    let graph: BTreeMap<u64, BTreeSet<u64>> = calls
        .into_iter()
        .map(|(at, calls)| (at, if calls.unknown { &calls.known | &uncalled } else { calls.known }))
        .collect();
    let (bytes, chain) = descend(entry, &graph, frames, &mut Vec::new());
    Ok(Deepest { bytes, chain: chain.iter().filter_map(|at| code.get(at)).map(|code| code.name.clone()).collect() })
}

/// The deepest chain from a function on. A function that is entered already is not entered again.
fn descend(at: u64, graph: &BTreeMap<u64, BTreeSet<u64>>, frames: &Frames, entered: &mut Vec<u64>) -> (u64, Vec<u64>) {
    if entered.contains(&at) {
        return (0, Vec::new());
    }
    entered.push(at);
    let callees = graph.get(&at).into_iter().flatten();
    let (below, mut chain) = callees
        .map(|&callee| descend(callee, graph, frames, entered))
        .max_by_key(|(bytes, _)| *bytes)
        .unwrap_or_default();
    entered.pop();
    chain.insert(0, at);
    (frames.get(&at).copied().unwrap_or(0) + below, chain)
}

/// The functions of the image, by address.
fn code<'d>(file: &impl Object<'d>) -> Result<BTreeMap<u64, Code<'d>>, Box<dyn Error>> {
    let mut code = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() != 0) {
        let Some(index) = symbol.section_index() else { continue };
        let (at, size) = (symbol.address() & !1, symbol.size());
        let Some(bytes) = file.section_by_index(index)?.data_range(at, size)? else { continue };
        code.insert(at, Code { name: demangled(symbol.name()?), bytes });
    }
    Ok(code)
}

/// What the linker knows of what it put where.
fn marks<'d>(file: &impl Object<'d>) -> Marks {
    let marks = file.symbols().filter_map(|symbol| match symbol.name() {
        Ok("$t") => Some((symbol.address() & !1, Mark::Instructions)),
        Ok("$d") => Some((symbol.address(), Mark::Constants)),
        _ => None,
    });
    marks.collect()
}

/// Reads the branches of a function: B and BL with an offset, BX and BLX with a register.
fn calls(at: u64, function: &Code<'_>, code: &BTreeMap<u64, Code<'_>>, marks: &Marks) -> Calls {
    let mut calls = Calls::default();
    let is_constant = |at: u64| marks.range(..=at).next_back().is_some_and(|(_, &mark)| mark == Mark::Constants);
    let mut halves = (at..)
        .step_by(2)
        .zip(function.bytes.chunks_exact(2))
        .filter(|(at, _)| !is_constant(*at))
        .map(|(at, half)| (at, u16::from_le_bytes([half[0], half[1]])));
    while let Some((here, first)) = halves.next() {
        let target = match first >> 11 {
            0b11100 => Some(here.wrapping_add_signed(i64::from(((first << 5) as i16) >> 4) + 4)),
            0b11110 => halves.next().and_then(|(_, second)| far(here, first, second)),
            0b11101 | 0b11111 => {
                halves.next();
                None
            }
            _ => None,
        };
        calls.unknown |= first & 0xFF87 == 0x4780 || (first & 0xFF87 == 0x4700 && first != 0x4770);
        calls.known.extend(target.filter(|target| *target != at && code.contains_key(target)));
    }
    calls
}

/// Where BL or a long B goes.
fn far(here: u64, first: u16, second: u16) -> Option<u64> {
    if second & 0x9000 != 0x9000 {
        return None;
    }
    let bit = |from: u16, position: u32| i64::from(from >> position & 1);
    let sign = bit(first, 10);
    let offset = -sign << 24
        | (1 ^ bit(second, 13) ^ sign) << 23
        | (1 ^ bit(second, 11) ^ sign) << 22
        | i64::from(first & 0x3FF) << 12
        | i64::from(second & 0x7FF) << 1;
    Some(here.wrapping_add_signed(offset + 4))
}
