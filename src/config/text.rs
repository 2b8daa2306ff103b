//! The text of a config → its tree of values, and the place of each.

use super::{
    places::{Lines, Mark, Places, join},
    problem::{Level, Problem, Report},
};
use ::config::{Map, Value, ValueKind};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Syntax errors shown; what follows them is rarely a mistake of its own.
const MOST_SYNTAX_ERRORS: usize = 20;

/// Parses `text`. The tree is whole when nothing was reported; a value of a kind that no key takes
/// is reported and left out.
///
/// # Errors
/// The text is not TOML: what the parser found, since its keys cannot be trusted then.
pub(super) fn parse(name: &str, text: &str) -> Result<(Value, Report), Vec<Problem>> {
    let lines = Lines::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(syntax(name, &lines, &errors));
    }
    let places = Places { file: name.to_owned(), ..Places::default() };
    let mut walk = Walk { lines, report: Report::new(places) };
    let map = walk.table(root.get_ref(), "");
    Ok((Value::new(None, ValueKind::Table(map)), walk.report))
}

/// The parser's errors as problems, one a line.
fn syntax(name: &str, lines: &Lines<'_>, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors.iter() {
        let (line, column) = lines.spot(error.span().map_or(0, |span| span.start));
        if problems.iter().any(|problem| problem.line == line) {
            continue;
        }
        problems.push(Problem {
            file: name.to_owned(),
            line,
            column,
            key: String::new(),
            message: message(error.message()),
            level: Level::Syntax,
        });
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.truncate(MOST_SYNTAX_ERRORS);
    problems
}

fn message(error: &str) -> String {
    let hint = if error.contains("escape") {
        "; a text with \\ in it belongs in single quotes"
    } else {
        ""
    };
    format!("not valid TOML: {}{hint}", error.to_lowercase())
}

struct Walk<'a> {
    lines: Lines<'a>,
    report: Report,
}

impl Walk<'_> {
    fn mark(&mut self, path: &str, key: &Range<usize>, value: &Range<usize>) {
        // The key of a section stands in its header: the header is shown.
        let key = key.start.min(value.start);
        let mark = Mark { key: self.lines.spot(key), value: self.lines.spot(value.start) };
        self.report.places.marks.insert(path.to_owned(), mark);
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, value) in table.iter() {
            let inner = join(path, key.get_ref());
            self.mark(&inner, &key.span(), &value.span());
            if let Some(value) = self.value(value, &inner) {
                map.insert(key.get_ref().to_string(), value);
            }
        }
        map
    }

    fn list(&mut self, items: &[Spanned<DeValue<'_>>], path: &str) -> Vec<Value> {
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let inner = format!("{path}[{index}]");
            self.mark(&inner, &item.span(), &item.span());
            // A value that was reported keeps its place, so that the others keep their index.
            values.push(self.value(item, &inner).unwrap_or_default());
        }
        values
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &str) -> Option<Value> {
        let kind = match value.get_ref() {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(bit) => ValueKind::Boolean(*bit),
            DeValue::Table(table) => ValueKind::Table(self.table(table, path)),
            DeValue::Array(items) => {
                let items: Vec<_> = items.iter().cloned().collect();
                ValueKind::Array(self.list(&items, path))
            }
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => ValueKind::I64(number),
                    Err(_) => return self.refuse(path, "number is too large; no key takes it"),
                }
            }
            DeValue::Float(_) => {
                return self.refuse(
                    path,
                    "no key takes a number with a fraction; \
                    write a whole number, or a text with a unit, such as \"250ms\"",
                );
            }
            DeValue::Datetime(_) => {
                return self.refuse(path, "no key takes a date; put a text in quotes");
            }
        };
        Some(Value::new(None, kind))
    }

    fn refuse(&mut self, path: &str, message: &str) -> Option<Value> {
        self.report.value(Level::Syntax, path, message);
        None
    }
}
