//! Stored functions: their bodies when they are written, and calls of them.

use annals_edn::{Code, Edn, Error, Keyword, Node, read_one};

use super::function::no_function;
use super::{Expander, forms_of};
use crate::Result;
use crate::tx::functions::Function;
use crate::tx::op::Object;
use crate::tx::paths::Step;
use crate::value::Value;

/// The longest body of a function, in bytes.
const MAX_BODY: usize = 64 << 10;

impl Expander<'_> {
    /// What a stored function answers is tx-data in its place; nil is none.
    pub(super) fn stored(&mut self, operation: &Edn, ident: &Keyword, args: &[Edn]) -> Result<()> {
        let function = Function::find(self.db, ident)?.ok_or_else(|| no_function(operation))?;
        self.deeper()?;
        let outer = self.enter(Step::Call(ident.clone()));
        let answer = self.caller.call(self.db, &function, args).map_err(|error| error.at(operation.span))?;
        for (at, form) in forms_of(&answer)?.iter().enumerate() {
            let call = self.enter(Step::Index(at as u32));
            self.form(form)?;
            self.back(call);
        }
        self.back(outer);
        self.nesting -= 1;
        Ok(())
    }

    /// A body that could never be called is refused when it is written.
    pub(super) fn check_function(&self, v: &Object) -> Result<()> {
        let Object::Value(Value::String(text)) = v else { return Ok(()) };
        if text.len() > MAX_BODY {
            let message = format!("the body of a function has {} bytes, {MAX_BODY} are allowed", text.len());
            return Err(Error::new(Code::InvalidFunction, message)
                .with("limit", format!("{MAX_BODY} bytes"))
                .with("seen", text.len()));
        }
        let body = read_one(text).map_err(|error| unreadable(&error))?;
        match &body.node {
            Node::Map(_) => self.caller.functions.check(self.db, &body),
            _ => {
                Err(Error::new(Code::InvalidFunction, "the body of a function is a map, or the text of one"))
            }
        }
    }
}

/// The span of the error lies in the text of the body, which is not the text of the transaction.
fn unreadable(error: &Error) -> Error {
    let message = format!("the body of a function cannot be read: {}", error.message());
    let error_at = error.span().map_or(0, |span| span.start);
    Error::new(Code::InvalidFunction, message).with("error", error.code().as_str()).with("offset", error_at)
}
