//! From source to something that can be evaluated: parsed, bounded, every name checked.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr};
use cel::parser::{ParseErrors, PrattParser};

use super::calls::{self, Call};
use super::tokens::{self, Prepared};
use super::types::{self, Wanted};
use super::view::View;
use super::{ExpressionError, Reference, Scope, explain, numbers, words};

mod places;

use places::Places;

/// Deepest nesting. Evaluation needs up to 40 KiB of stack for a level, and a thread has 2 MiB.
const DEPTH_MAX: usize = 24;
/// Loops inside loops; with the bound on words this bounds the time of an evaluation.
const LOOPS_MAX: usize = 2;
/// Nesting and nodes that the parser accepts, before we look at the result.
const PARSER_DEPTH_MAX: u16 = 32;
const PARSER_NODES_MAX: usize = 4096;

static ENVIRONMENT: LazyLock<Arc<cel::Env>> =
    LazyLock::new(|| Arc::new(cel::Env::default().with_optional_support(false).with_stdlib()));

/// An expression that is ready to be evaluated.
#[derive(Debug)]
pub(super) struct Compiled {
    source: String,
    program: IdedExpr,
    pub(super) calls: Vec<Call>,
    pub(super) references: Vec<Reference>,
    pub(super) overrides_needs: bool,
    /// Where its parts stand.
    pub(super) places: Places,
    /// Names and calls that do not exist. An expression that has some cannot be evaluated.
    pub(super) problems: Vec<ExpressionError>,
}

/// Parses, and collects what is wrong with names and calls. Plain names that nothing else has are
/// metrics.
pub(super) fn compile(source: &str) -> Result<Compiled, ExpressionError> {
    let prepared = tokens::prepare(source)?;
    let parser = PrattParser::new()
        .max_recursion_depth(PARSER_DEPTH_MAX)
        .max_expression_node_count(PARSER_NODES_MAX);
    let mut program = parser.parse(&prepared.text).map_err(|it| syntax_error(&prepared, &it))?;
    check_depth(&program)?;
    let places = Places::of(&program, &prepared);
    let mut names = Names::new(&places);
    names.visit(&mut program);
    let Names { metrics, calls, problems, .. } = names;
    numbers::promote(&mut program, &metrics);
    let overrides_needs = calls.iter().any(|it| matches!(it, Call::Always | Call::Failed));
    let references = prepared.references(&metrics);
    let source = source.to_owned();
    Ok(Compiled { source, program, calls, references, overrides_needs, places, problems })
}

impl Compiled {
    /// What is wrong with its names, its calls, and its types when it is used for `wanted`, in the
    /// order of the source.
    pub(super) fn problems(&self, wanted: Wanted) -> Vec<ExpressionError> {
        let mut problems = self.problems.clone();
        problems.extend(match wanted {
            Wanted::Truth | Wanted::Text => words::condition_problems(&self.references),
            Wanted::Gate => words::gate_problems(&self.references),
        });
        problems.extend(types::problems(&self.program, self, wanted));
        problems.sort_by_key(|it| it.span);
        problems
    }

    /// The value in `scope`.
    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<cel::Value, ExpressionError> {
        let view = View::new(scope, self);
        let mut context = cel::Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&view);
        cel::Value::resolve(&self.program, &context)
            .map_err(|error| explain::failure(&error, &self.source, &view))
    }

    /// Refuses a scope that lacks a metric, or the baseline, that is named. A gate must not pass because
    /// the part with the missing metric happens not to matter.
    pub(super) fn check_present(&self, scope: &Scope<'_>) -> Result<(), ExpressionError> {
        for reference in &self.references {
            match (reference.root.as_str(), reference.name()) {
                ("baseline", _) if scope.baseline.is_none() => {
                    return Err(explain::no_baseline(reference.span));
                }
                ("metrics", Some(metric))
                    if reference.is_bare && !scope.metrics.contains_key(metric) =>
                {
                    return Err(explain::no_metric(metric, &scope.metrics).at(reference.span));
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// Whether its value may change while the run is under way.
    pub(super) fn is_dynamic(&self) -> bool {
        self.references.iter().any(|it| it.root == "needs")
            || self.calls.iter().any(Call::is_dynamic)
    }

    pub(super) fn hash_calls(&self) -> Vec<Vec<String>> {
        let globs = |call: &Call| match call {
            Call::Hash(globs) => Some(globs.clone()),
            Call::Always | Call::Failed | Call::Passed | Call::Changed(_) => None,
        };
        self.calls.iter().filter_map(globs).collect()
    }

    pub(super) fn uses_changed_paths(&self) -> bool {
        self.calls.iter().any(|it| matches!(it, Call::Changed(_)))
    }
}

/// Says what the parser could not read, in our words.
fn syntax_error(prepared: &Prepared, errors: &ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError::new("the expression cannot be read");
    };
    if first.pos.0 < 1 {
        return ExpressionError::new("the expression is nested too deeply")
            .help("compute this in a step and publish it as an output");
    }
    let number = |it: isize| usize::try_from(it).unwrap_or(1).saturating_sub(1);
    let line_start: usize =
        prepared.text.split_inclusive('\n').take(number(first.pos.0)).map(str::len).sum();
    let Some(token) = prepared.token_at(line_start + number(first.pos.1)) else {
        let end = prepared.text.len();
        return ExpressionError::new("the expression ends too early")
            .at(prepared.span(end.saturating_sub(1), end));
    };
    let text = prepared.text_of(token);
    let complaint = if first.msg.contains("mismatched input") || first.msg == "unexpected token" {
        ExpressionError::new(format!("`{text}` cannot stand here"))
    } else {
        ExpressionError::new(format!("{}, at `{text}`", first.msg))
    };
    let complaint = match text.to_ascii_lowercase().as_str() {
        "and" => complaint.help("write `&&`"),
        "or" => complaint.help("write `||`"),
        "not" => complaint.help("write `!`"),
        "is" | "eq" => complaint.help("write `==`"),
        _ => complaint,
    };
    complaint.at(prepared.span(token.start, token.end))
}

/// Walks with its own stack, as the depth is not yet known to be small.
fn check_depth(program: &IdedExpr) -> Result<(), ExpressionError> {
    let mut todo = vec![(program, 1)];
    while let Some((expr, depth)) = todo.pop() {
        if depth > DEPTH_MAX {
            return Err(ExpressionError::new("the expression is nested too deeply")
                .help("compute this in a step and publish it as an output"));
        }
        todo.extend(children(&expr.expr).into_iter().map(|it| (it, depth + 1)));
    }
    Ok(())
}

fn children(expr: &Expr) -> Vec<&IdedExpr> {
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => Vec::new(),
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).collect(),
        Expr::Comprehension(it) => {
            vec![&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            let entry = |it: &'_ EntryExpr| matches!(it, EntryExpr::MapEntry(_));
            let entries = map.entries.iter().filter(|it| entry(&it.expr));
            entries
                .flat_map(|it| match &it.expr {
                    EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                    EntryExpr::StructField(_) => Vec::new(),
                })
                .collect()
        }
        Expr::Select(select) => vec![&select.operand],
    }
}

/// Checks every name, and puts our own calls in order.
struct Names<'a> {
    places: &'a Places,
    /// Variables of the loops around the place.
    locals: Vec<String>,
    loops: usize,
    metrics: Vec<String>,
    calls: Vec<Call>,
    problems: Vec<ExpressionError>,
}

impl<'a> Names<'a> {
    fn new(places: &'a Places) -> Self {
        Self {
            places,
            locals: Vec::new(),
            loops: 0,
            metrics: Vec::new(),
            calls: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn visit(&mut self, part: &mut IdedExpr) {
        match &mut part.expr {
            Expr::Literal(_) => {}
            Expr::Ident(_) => self.visit_name(part),
            Expr::Select(select) => self.visit(&mut select.operand),
            Expr::List(list) => list.elements.iter_mut().for_each(|it| self.visit(it)),
            Expr::Map(map) => map.entries.iter_mut().for_each(|it| self.visit_entry(&mut it.expr)),
            Expr::Comprehension(_) => self.visit_loop(part),
            Expr::Call(_) => self.visit_call(part),
            Expr::Struct(message) => {
                let error = format!("`{}{{…}}` makes a message; there are none", message.type_name);
                let help = "a map is written `{\"key\": value}`";
                self.problems.push(ExpressionError::new(error).help(help));
            }
            Expr::Unspecified => {
                self.problems.push(ExpressionError::new("the expression cannot be read"));
            }
        }
    }

    fn visit_entry(&mut self, entry: &mut EntryExpr) {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.visit(&mut entry.key);
                self.visit(&mut entry.value);
            }
            EntryExpr::StructField(field) => self.visit(&mut field.value),
        }
    }

    fn visit_name(&mut self, part: &IdedExpr) {
        let Expr::Ident(name) = &part.expr else { return };
        if self.locals.contains(name) || words::is_root(name) || words::is_type(name) {
            return;
        }
        if words::FUNCTIONS.contains(&name.as_str()) {
            let error = ExpressionError::new(format!("`{name}` is a function"));
            self.refuse(part.id, error.help(format!("write `{name}(…)`")));
        } else if name.starts_with('.') {
            self.refuse(part.id, ExpressionError::new("an expression cannot begin with `.`"));
        } else if !self.metrics.contains(name) {
            self.metrics.push(name.to_owned());
        }
    }

    fn visit_loop(&mut self, part: &mut IdedExpr) {
        let id = part.id;
        let Expr::Comprehension(it) = &mut part.expr else { return };
        self.visit(&mut it.iter_range);
        self.visit(&mut it.accu_init);
        let variables = std::iter::once(&it.iter_var).chain(it.iter_var2.iter());
        if let Some(taken) = variables.clone().find(|it| words::is_reserved(it)) {
            let error = ExpressionError::new(format!("`{taken}` is taken"));
            self.refuse(id, error.help("give the variable another name"));
        }
        if self.loops >= LOOPS_MAX {
            let error = format!("more than {LOOPS_MAX} loops are nested");
            let help = "compute this in a step and publish it as an output";
            self.refuse(id, ExpressionError::new(error).help(help));
        }
        let outside = self.locals.len();
        self.locals.extend(variables.cloned());
        self.locals.push(it.accu_var.clone());
        self.loops += 1;
        for inner in [&mut it.loop_cond, &mut it.loop_step, &mut it.result] {
            self.visit(inner);
        }
        self.loops -= 1;
        self.locals.truncate(outside);
    }

    fn visit_call(&mut self, part: &mut IdedExpr) {
        let id = part.id;
        let Expr::Call(call) = &mut part.expr else { return };
        match calls::read(call) {
            Ok(None) => {}
            Ok(Some(read)) => {
                part.expr = Expr::Ident(format!("@{}", self.calls.len()));
                return self.calls.push(read);
            }
            Err(error) => return self.refuse(id, error),
        }
        let name = &call.func_name;
        if let Err(error) = words::check_function(name, call.target.is_some()) {
            let is_loop = words::is_macro(name);
            self.refuse(id, error);
            if is_loop {
                return; // Its variable is no name that could be looked up.
            }
        }
        if name == "matches" && self.loops > 1 {
            let error = ExpressionError::new("`matches` cannot be called in a loop in a loop");
            self.refuse(id, error);
        }
        for inner in call.target.iter_mut().map(AsMut::as_mut).chain(&mut call.args) {
            self.visit(inner);
        }
        if let Some(select) = constant_index(call) {
            part.expr = Expr::Select(select);
        }
    }

    fn refuse(&mut self, id: u64, error: ExpressionError) {
        let error = match self.places.word(id) {
            Some(span) => error.at(span),
            None => error,
        };
        self.problems.push(error);
    }
}

/// `needs["a-b"]` means `needs.a-b`, if CEL could write it; as a selection only the named need is
/// looked up, and not all of them.
fn constant_index(call: &cel::common::ast::CallExpr) -> Option<SelectExpr> {
    let [root, key] = call.args.as_slice() else { return None };
    match (&root.expr, &key.expr) {
        (Expr::Ident(name), Expr::Literal(LiteralValue::String(key)))
            if call.func_name == "_[_]" && words::is_root(name) && !key.inner().contains('.') =>
        {
            let operand = Box::new(root.clone());
            Some(SelectExpr { operand, field: key.inner().to_owned(), test: false })
        }
        _ => None,
    }
}
