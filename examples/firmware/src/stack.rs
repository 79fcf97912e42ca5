//! How much of the stack was used. `cortex-m-rt` paints it before `main`, with a value that is looked for here.

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    /// Where the stack begins, and how far down it may grow: what the statics have left. Symbols of the linker script.
    static _stack_start: u32;
    static _stack_end: u32;
}

/// How many bytes the stack may have: all that the statics have left.
pub fn size() -> usize {
    (&raw const _stack_start).addr() - (&raw const _stack_end).addr()
}

/// How many bytes it has had at most so far.
pub fn used() -> usize {
    let bottom = &raw const _stack_end;
    let words = size() / size_of::<u32>();
    // SAFETY: it is RAM, all of it initialized before `main`. What the stack holds now is read as plain words.
    let unused =
        (0..words).take_while(|&word| unsafe { bottom.add(word).read_volatile() } == STACK_PAINT_VALUE).count();
    (words - unused) * size_of::<u32>()
}
