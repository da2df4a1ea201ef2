//! `cargo xtask size`: what a visitor downloads.

use std::fs;

use anyhow::Result;

use crate::page::{self, files_in};
use crate::run::announce;
use crate::workspace::dist;

pub fn size() -> Result<()> {
    page::build()?;
    announce("Size in bytes");
    let mut rows = Vec::new();
    let mut total = Row::new("total");
    for name in files_in(&dist())? {
        let contents = fs::read(dist().join(&name))?;
        let row = Row { raw: contents.len(), brotli: compressed(&contents)?, name };
        total.raw += row.raw;
        total.brotli += row.brotli;
        rows.push(row);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.raw));
    rows.push(total);
    println!("{:>12} {:>12}  file", "raw", "brotli");
    for row in rows {
        println!("{:>12} {:>12}  {}", row.raw, row.brotli, row.name);
    }
    Ok(())
}

struct Row {
    name: String,
    raw: usize,
    brotli: usize,
}

impl Row {
    fn new(name: &str) -> Row {
        Row { name: name.to_owned(), raw: 0, brotli: 0 }
    }
}

fn compressed(contents: &[u8]) -> Result<usize> {
    let mut output = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &contents[..], &mut output, &parameters)?;
    Ok(output.len())
}
