//! `widthwise table`: the ends of many runs as one CSV.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use widthwise::ladder::is_ladder;
use widthwise::record::atomic;
use widthwise::record::place::try_out;
use widthwise::record::row::Row;
use widthwise::report::{TableReader, join};
use widthwise::run::OpenedRun;

use super::Exit;
use crate::cli::TableArguments;
use crate::terminal::console::Console;

#[derive(Serialize)]
struct WrittenLine<'a> {
    event: &'static str,
    rows: usize,
    file: &'a std::path::Path,
}

/// Joins the runs, then writes the table whole. Ladders, which lie next to runs, are left out.
///
/// # Errors
/// No run, a folder that is neither run nor ladder, damaged files, or a file that cannot be written.
pub(crate) fn execute(arguments: &TableArguments, console: &Console) -> Result<Exit> {
    if let Some(file) = &arguments.out {
        try_out(file)?;
    }
    let (ladders, runs): (Vec<PathBuf>, Vec<PathBuf>) =
        arguments.folders.iter().cloned().partition(|folder| is_ladder(folder));
    for ladder in &ladders {
        console.note(format_args!("left out: {} is a ladder, whose table is its means.csv", ladder.display()));
    }
    ensure!(!runs.is_empty(), "{} is no run; give the folder of a run", ladders[0].display());
    let mut table = Vec::new();
    // Without a file and as JSON it is read by the function below alone.
    let reader =
        if arguments.out.is_none() && console.is_json { TableReader::Program } else { TableReader::Spreadsheet };
    let runs = runs.iter().map(|path| OpenedRun::open(path)).collect::<Result<Vec<_>, _>>()?;
    let folders: Vec<PathBuf> = runs.iter().map(|run| run.folder().to_owned()).collect();
    let rows = join(&folders, reader, &mut table)?;
    match &arguments.out {
        Some(file) => {
            atomic::write(file, &table)?;
            console.json(&WrittenLine { event: "table", rows, file })?;
            console.line(format_args!("{rows} rows of {} runs in {}", runs.len(), file.display()))?;
        }
        None if console.is_json => {
            for row in objects(&table)? {
                console.json(&row)?;
            }
        }
        None => console.write(&String::from_utf8(table).context("the joined table is not UTF-8")?)?,
    }
    Ok(Exit::Done)
}

/// The rows of the joined table as JSON objects: those of `results.csv` with the other columns as text.
fn objects(table: &[u8]) -> Result<Vec<Value>> {
    let mut reader = csv::Reader::from_reader(table);
    let columns = reader.headers()?.clone();
    let mut objects = Vec::new();
    for record in reader.records() {
        let record = record?;
        let mut object = serde_json::to_value(record.deserialize::<Row>(Some(&columns))?)?;
        for (column, cell) in columns.iter().zip(&record) {
            if object.get(column).is_none() {
                object[column] = Value::from(cell);
            }
        }
        objects.push(object);
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_objects_with_every_column() {
        let table = "run,config_hash,outcome,schema_version,seed,members,dataset,family,parameterization,width,depth,step,\
                     flow_time,quantity,unit,layer_from,layer,measured,std_error,se_method,predicted,z,verdict\n\
                     7,abc,finished,1,1,0..4,mnist,mlp,ntk,64,3,0,0.0,kurtosis,,,2,3.1,0.1,members,3.0,1.0,agrees\n";
        let rows = objects(table.as_bytes()).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((&rows[0]["run"], &rows[0]["config_hash"]), (&Value::from("7"), &Value::from("abc")));
        assert_eq!((&rows[0]["measured"], &rows[0]["layer_from"]), (&Value::from(3.1), &Value::Null));
        assert_eq!(rows[0]["verdict"], "agrees");
    }
}
