//! The one error of the product: a [`Kind`] that says what the caller must do, a [`Code`] that says what happened,
//! a message, and where there is source text the [`Span`] at fault and a hint that mends it.

use std::borrow::Cow;
use std::fmt;

use crate::tree::Span;

/// What the caller must do about an error: the nine anomaly categories. Decides the gRPC status and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody answered; the same call may succeed later.
    Unavailable,
    /// Stopped before it was done: cancelled, or its deadline passed.
    Interrupted,
    /// The caller's request is wrong and will stay wrong.
    Incorrect,
    /// The caller may not do this.
    Forbidden,
    /// Not offered by this version.
    Unsupported,
    /// The thing named does not exist.
    NotFound,
    /// The database's state is against it (cas, unique).
    Conflict,
    /// A defect or damage on our side.
    Fault,
    /// Too much at once; retry after a pause.
    Busy,
}

macro_rules! codes {
    ($($kind:ident { $($variant:ident => $text:literal),* $(,)? })*) => {
        /// What happened. One variant a situation; its text is stable and documented.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Code { $($($variant),*),* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$($(Code::$variant),*),*];

            /// The stable name, UPPER_SNAKE.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($(Code::$variant => $text),*),* }
            }

            /// The kind this code belongs to.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $($(Code::$variant => Kind::$kind),*),* }
            }

            /// The code of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.as_str() == name)
            }
        }
    };
}

codes! {
    Unavailable {
        NotLeader => "NOT_LEADER",
        UnknownOutcome => "UNKNOWN_OUTCOME",
        Unreachable => "UNREACHABLE",
        NotReady => "NOT_READY",
        Draining => "DRAINING",
        SegmentUnavailable => "SEGMENT_UNAVAILABLE",
        BasisNotReached => "BASIS_NOT_REACHED",
        StreamStalled => "STREAM_STALLED",
    }
    Interrupted {
        Cancelled => "CANCELLED",
        DeadlineExceeded => "DEADLINE_EXCEEDED",
    }
    Incorrect {
        EdnUnexpectedEof => "EDN_UNEXPECTED_EOF",
        EdnUnbalanced => "EDN_UNBALANCED",
        EdnTooDeep => "EDN_TOO_DEEP",
        EdnInvalidString => "EDN_INVALID_STRING",
        EdnInvalidToken => "EDN_INVALID_TOKEN",
        EdnInvalidNumber => "EDN_INVALID_NUMBER",
        EdnDuplicateKey => "EDN_DUPLICATE_KEY",
        EdnOddMap => "EDN_ODD_MAP",
        EdnUnknownTag => "EDN_UNKNOWN_TAG",
        EdnBadInst => "EDN_BAD_INST",
        EdnBadUuid => "EDN_BAD_UUID",
        EdnBadTagged => "EDN_BAD_TAGGED",
        EdnTrailing => "EDN_TRAILING",
        NilValue => "NIL_VALUE",
        NotTransactionData => "NOT_TRANSACTION_DATA",
        NotAnEntity => "NOT_AN_ENTITY",
        NotAnAttribute => "NOT_AN_ATTRIBUTE",
        NotAKeyword => "NOT_A_KEYWORD",
        NotADataFunction => "NOT_A_DATA_FUNCTION",
        WrongTypeForAttribute => "WRONG_TYPE_FOR_ATTRIBUTE",
        DatomsConflict => "DATOMS_CONFLICT",
        InvalidCas => "INVALID_CAS",
        InvalidCasMany => "INVALID_CAS_MANY",
        InvalidEntityId => "INVALID_ENTITY_ID",
        InvalidLookupRef => "INVALID_LOOKUP_REF",
        LookupRefAttrNotUnique => "LOOKUP_REF_ATTR_NOT_UNIQUE",
        InvalidNestedEntity => "INVALID_NESTED_ENTITY",
        TempidNotAnEntity => "TEMPID_NOT_AN_ENTITY",
        PastTxInstant => "PAST_TX_INSTANT",
        FutureTxInstant => "FUTURE_TX_INSTANT",
        ResetTxInstant => "RESET_TX_INSTANT",
        SchemaWithoutInstall => "SCHEMA_WITHOUT_INSTALL",
        NotInSystemPartition => "NOT_IN_SYSTEM_PARTITION",
        AttributeIdentMissing => "ATTRIBUTE_IDENT_MISSING",
        InvalidInstallAttribute => "INVALID_INSTALL_ATTRIBUTE",
        InvalidAlterAttribute => "INVALID_ALTER_ATTRIBUTE",
        UniqueWithoutIndex => "UNIQUE_WITHOUT_INDEX",
        UniqueViolation => "UNIQUE_VIOLATION",
        CardinalityViolation => "CARDINALITY_VIOLATION",
        UnsupportedAlterSchema => "UNSUPPORTED_ALTER_SCHEMA",
        InvalidTupleValue => "INVALID_TUPLE_VALUE",
        AttrPred => "ATTR_PRED",
        EntityAttr => "ENTITY_ATTR",
        EntityPred => "ENTITY_PRED",
        CycleInAffinity => "CYCLE_IN_AFFINITY",
        ReservedNamespace => "RESERVED_NAMESPACE",
        ValueOutOfRange => "VALUE_OUT_OF_RANGE",
        TransactionIdReused => "TX_ID_REUSED",
        TransactionIdInvalid => "TX_ID_INVALID",
        QueryEmpty => "QUERY_EMPTY",
        InvalidQuery => "INVALID_QUERY",
        InvalidClause => "INVALID_CLAUSE",
        InvalidAggregate => "INVALID_AGGREGATE",
        UnboundQueryVariables => "UNBOUND_QUERY_VARIABLES",
        InsufficientBinding => "INSUFFICIENT_BINDING",
        NotABindingForm => "NOT_A_BINDING_FORM",
        InvalidDataSource => "INVALID_DATA_SOURCE",
        TooFewInputs => "TOO_FEW_INPUTS",
        ArgsMismatch => "ARGS_MISMATCH",
        UnknownFunction => "UNKNOWN_FUNCTION",
        UnknownRule => "UNKNOWN_RULE",
        InvalidRule => "INVALID_RULE",
        Unstratifiable => "UNSTRATIFIABLE",
        FunctionFailed => "FUNCTION_FAILED",
        DivisionByZero => "DIVISION_BY_ZERO",
        IntegerOverflow => "INTEGER_OVERFLOW",
        AttributeNotIndexed => "ATTRIBUTE_NOT_INDEXED",
        InvalidPull => "INVALID_PULL",
        InvalidAttrSpec => "INVALID_ATTR_SPEC",
        InvalidRecurLimit => "INVALID_RECUR_LIMIT",
        PullDuplicateAttribute => "PULL_DUPLICATE_ATTRIBUTE",
        InvalidView => "INVALID_VIEW",
        InvalidArgument => "INVALID_ARGUMENT",
        DbName => "DB_NAME",
        CursorInvalid => "CURSOR_INVALID",
        CursorMismatch => "CURSOR_MISMATCH",
        CursorExpired => "CURSOR_EXPIRED",
        BasisCollected => "BASIS_COLLECTED",
        Config => "CONFIG",
        DataDirInvalid => "DATA_DIR_INVALID",
        FormatUnsupported => "FORMAT_UNSUPPORTED",
    }
    Forbidden {
        Unauthenticated => "UNAUTHENTICATED",
        RoleMissing => "ROLE_MISSING",
        XformNotAllowed => "XFORM_NOT_ALLOWED",
    }
    Unsupported {
        Unsupported => "UNSUPPORTED",
    }
    NotFound {
        DbNotFound => "DB_NOT_FOUND",
        FileNotFound => "FILE_NOT_FOUND",
        TransactionNotFound => "TX_NOT_FOUND",
    }
    Conflict {
        CasFailed => "CAS_FAILED",
        UniqueConflict => "UNIQUE_CONFLICT",
        DbExists => "DB_EXISTS",
        DataDirLocked => "DATA_DIR_LOCKED",
        Diverged => "DIVERGED",
    }
    Fault {
        Internal => "INTERNAL",
        DataLoss => "DATA_LOSS",
        Storage => "STORAGE",
        DamagedLog => "DAMAGED_LOG",
    }
    Busy {
        Overloaded => "OVERLOADED",
        TransactionTooLarge => "TX_TOO_LARGE",
        MessageTooLarge => "MESSAGE_TOO_LARGE",
        QueryTooComplex => "QUERY_TOO_COMPLEX",
        MemoryBudgetExceeded => "MEMORY_BUDGET_EXCEEDED",
        RowsBudgetExceeded => "ROWS_BUDGET_EXCEEDED",
        PullTooDeep => "PULL_TOO_DEEP",
        DiskFull => "DISK_FULL",
    }
}

/// An error as callers and users see it. One pointer wide; building one allocates, passing one on does not.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
    details: Vec<(Cow<'static, str>, String)>,
}

impl Error {
    /// A `code` with a `message` in lower case without a full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), span: None, hint: None, details: Vec::new() }))
    }

    /// Points at the source text at fault; keeps an earlier, more exact span.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        if self.0.span.is_none() && !span.is_none() {
            self.0.span = Some(span);
        }
        self
    }

    /// The same error about another text, in which the span lies elsewhere.
    #[must_use]
    pub fn moved_to(mut self, span: Span) -> Self {
        self.0.span = Some(span);
        self
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// A named fact of the message, machine-readable: `attribute`, `value`, `limit`, …
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.details.push((name.into(), value.to_string()));
        self
    }

    /// What happened.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the caller must do.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.code.kind()
    }

    /// One sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The source text at fault.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The named facts.
    #[must_use]
    pub fn details(&self) -> &[(Cow<'static, str>, String)] {
        &self.0.details
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(span) = self.0.span {
            write!(f, " at {}..{}", span.start, span.end)?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        for (name, value) in &self.0.details {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
