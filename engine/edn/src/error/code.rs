//! The codes of the product's errors: one a situation, each with what it means and what to do about it.
//!
//! The table is the source of docs/errors, which tests/error_pages.rs writes. Within a kind the order counts: of several
//! things wrong with a transaction the first in this table is told.

use super::Kind;

macro_rules! codes {
    ($($kind:ident { $($variant:ident => $text:literal, $meaning:literal, $remedy:literal;)* })*) => {
        /// What happened. One variant a situation; its text is stable and documented.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $meaning] $variant),*),* }

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

            /// What happened, in one or two sentences.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $($(Code::$variant => $meaning),*),* }
            }

            /// What to do about it.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $($(Code::$variant => $remedy),*),* }
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
            "The member that was asked does not lead the group, and could not pass the call on in time.",
            "Ask again; the client library tries the other members by itself.";
        NotApplied => "NOT_APPLIED",
            "A transaction before this one in its stream was not committed, so this one was not applied.",
            "Deal with the one that was refused, then send this one again under the same id; the client library does so by itself.";
        UnknownOutcome => "UNKNOWN_OUTCOME",
            "The call was sent, and no answer came: it may or may not have been done.",
            "Ask `annals tx status ID`, or send the same bytes under the same transaction id again: it is done once at most.";
        Unreachable => "UNREACHABLE",
            "No server answered at the addresses known.",
            "Check addresses, network and certificates; the call was not done.";
        NotReady => "NOT_READY",
            "The server is starting, and cannot answer yet.",
            "Wait until its `/readyz` says so, or ask another.";
        Draining => "DRAINING",
            "The server is shutting down and takes no new work.",
            "Ask another server; the client library does it by itself.";
        SegmentUnavailable => "SEGMENT_UNAVAILABLE",
            "A segment of the index is in no store that could be reached.",
            "Check the store and the members that hold it; nothing is lost as long as one has it.";
        BasisNotReached => "BASIS_NOT_REACHED",
            "The database value asked for is newer than the newest this server knows, and did not come in time.",
            "Wait longer, or read at a lower t. A peer far behind shows in `annals cluster status`.";
        StreamStalled => "STREAM_STALLED",
            "The receiver of a stream took nothing for too long, so it was cut.",
            "Read faster, or take the result page by page; the last token resumes it.";
    }
    Interrupted {
        Cancelled => "CANCELLED",
            "The call was cancelled by its caller.",
            "Nothing, if that was meant. A transaction that was cancelled may still be committed.";
        DeadlineExceeded => "DEADLINE_EXCEEDED",
            "The time that the call had ran out.",
            "Give it more time, or ask for less. A transaction may still be committed: its status tells.";
    }
    Incorrect {
        EdnUnexpectedEof => "EDN_UNEXPECTED_EOF",
            "The text ends inside a form.",
            "Close what the span shows to be open.";
        EdnUnbalanced => "EDN_UNBALANCED",
            "A closing bracket has no opening one, or one of another kind.",
            "Balance the brackets at the span.";
        EdnTooDeep => "EDN_TOO_DEEP",
            "Forms nest deeper than the reader goes; the limit is in the message.",
            "Flatten the text.";
        EdnInvalidString => "EDN_INVALID_STRING",
            "A string or character holds an escape that does not exist, or bytes that are no UTF-8.",
            "Write one of the escapes of EDN, and encode the text as UTF-8.";
        EdnInvalidToken => "EDN_INVALID_TOKEN",
            "Some characters make no keyword, symbol, number or other token.",
            "Look at the span; text belongs in quotes.";
        EdnInvalidNumber => "EDN_INVALID_NUMBER",
            "A token that begins like a number is none, or lies beyond what its type holds.",
            "Write it as EDN does: `42`, `42N`, `1.5`, `1.5M`.";
        EdnDuplicateKey => "EDN_DUPLICATE_KEY",
            "A map has one key twice, or a set one element.",
            "Drop one of them.";
        EdnOddMap => "EDN_ODD_MAP",
            "A map has a key without a value.",
            "Give the last key its value.";
        EdnUnknownTag => "EDN_UNKNOWN_TAG",
            "A form carries a tag that is not known where it stands.",
            "Use `#inst`, `#uuid`, `#uri`, `#bytes` or `#float`.";
        EdnBadInst => "EDN_BAD_INST",
            "An `#inst` is no point in time.",
            "Write it like `#inst \"2026-01-31T12:00:00.000Z\"`.";
        EdnBadUuid => "EDN_BAD_UUID",
            "A `#uuid` is no uuid.",
            "Write 32 hexadecimal digits in the groups 8-4-4-4-12.";
        EdnBadTagged => "EDN_BAD_TAGGED",
            "A tag has no form after it, or one that it cannot have.",
            "Write a form of the right kind after the tag.";
        EdnTrailing => "EDN_TRAILING",
            "One form was expected, and more follows it.",
            "Send one form; wrap several in a vector.";
        NilValue => "NIL_VALUE",
            "A fact cannot have nil as its value.",
            "Leave the attribute out. To remove a value write `[:db/retract e a]` or `[:db/retract e a v]`.";
        NotTransactionData => "NOT_TRANSACTION_DATA",
            "A form is neither an operation nor an entity map, or an operation has the wrong parts.",
            "Write `[:db/add e a v]`, `[:db/retract e a v]`, `[:db/retract e a]`, `{:attribute value}`, or a call of a function.";
        NotAnEntity => "NOT_AN_ENTITY",
            "What stands where an entity or an attribute is needed names none.",
            "Idents and lookup refs find what was there before the transaction: to name an entity within it use a tempid, and install attributes in an earlier one.";
        NotAnAttribute => "NOT_AN_ATTRIBUTE",
            "An ident that names an entity stands where an attribute is needed, and the entity is no attribute.",
            "Use the ident of an attribute.";
        NotAKeyword => "NOT_A_KEYWORD",
            "A keyword is needed, and something else is given.",
            "Write `:like/this`. Operations on what is already there take no tempid.";
        NotADataFunction => "NOT_A_DATA_FUNCTION",
            "The first part of an operation names no transaction function.",
            "Use `:db/add`, `:db/retract`, `:db/cas`, `:db/retractEntity`, or the ident of a stored function.";
        WrongTypeForAttribute => "WRONG_TYPE_FOR_ATTRIBUTE",
            "A value does not have the type of its attribute.",
            "Numbers are not converted: a double is written `5.0`, a bigint `5N`, a bigdec `5M`. The detail `expected` has the type.";
        DatomsConflict => "DATOMS_CONFLICT",
            "A transaction says two things that cannot both be so: two values of one attribute that takes one, or one fact asserted and retracted. The details `d1` and `d2` have them.",
            "A transaction is a set without order. Leave one of the two out, or send two transactions.";
        InvalidCas => "INVALID_CAS",
            "The new value of a `:db/cas` is nil.",
            "Use `[:db/retract e a v]`, which does nothing where the fact does not hold.";
        InvalidCasMany => "INVALID_CAS_MANY",
            "A `:db/cas` is about an attribute that takes many values.",
            "Compare and swap needs an attribute of cardinality one; add and retract single values instead.";
        InvalidEntityId => "INVALID_ENTITY_ID",
            "A number is no entity id, or one that this database never gave away.",
            "Use a tempid for a new entity. Ids below 2^42 may be chosen freely.";
        InvalidLookupRef => "INVALID_LOOKUP_REF",
            "A lookup ref is not a pair of attribute and value.",
            "Write `[:unique/attribute value]`.";
        LookupRefAttrNotUnique => "LOOKUP_REF_ATTR_NOT_UNIQUE",
            "A lookup ref uses an attribute that is not unique.",
            "Use a unique attribute, or make this one unique.";
        InvalidNestedEntity => "INVALID_NESTED_ENTITY",
            "A nested map does not say which entity it is, and is not part of its parent.",
            "Give it a `:db/id` or a unique identity, or declare the attribute `:db/isComponent true`.";
        TempidNotAnEntity => "TEMPID_NOT_AN_ENTITY",
            "A tempid stands as a value, and no form says anything about it.",
            "Say something about it, or correct its name: strings in a reference are tempids.";
        PastTxInstant => "PAST_TX_INSTANT",
            "The `:db/txInstant` given is before that of the last transaction.",
            "Transactions are imported in the order of their instants.";
        FutureTxInstant => "FUTURE_TX_INSTANT",
            "The `:db/txInstant` given is later than the clock of the writer.",
            "Give an instant that has passed.";
        ResetTxInstant => "RESET_TX_INSTANT",
            "The `:db/txInstant` of an earlier transaction would be changed or retracted.",
            "It stays as it is; say what you have to say with an attribute of your own.";
        SchemaWithoutInstall => "SCHEMA_WITHOUT_INSTALL",
            "The schema partition would get an entity that is neither attribute nor partition.",
            "Install an attribute, or put the entity into another partition.";
        NotInSystemPartition => "NOT_IN_SYSTEM_PARTITION",
            "A property of attributes is given to an entity that is no schema element.",
            "An ordinary entity cannot become an attribute: install one under a new ident.";
        AttributeIdentMissing => "ATTRIBUTE_IDENT_MISSING",
            "An attribute would be installed without a name.",
            "Give it a `:db/ident`.";
        InvalidInstallAttribute => "INVALID_INSTALL_ATTRIBUTE",
            "An attribute cannot be installed as it is described; the message says what does not fit.",
            "An attribute needs `:db/ident`, `:db/valueType` and `:db/cardinality`, and properties that go together.";
        InvalidAlterAttribute => "INVALID_ALTER_ATTRIBUTE",
            "An attribute cannot be changed so. The detail `error` says which rule forbids it, and others name the data in the way.",
            "See the code in `error`: UNSUPPORTED_ALTER_SCHEMA, CARDINALITY_VIOLATION, UNIQUE_WITHOUT_INDEX or UNIQUE_VIOLATION.";
        UniqueWithoutIndex => "UNIQUE_WITHOUT_INDEX",
            "In INVALID_ALTER_ATTRIBUTE: an attribute that has or had data is not indexed by value, so it cannot become unique yet.",
            "Assert `:db/index true`, wait for the index job, then assert `:db/unique`.";
        UniqueViolation => "UNIQUE_VIOLATION",
            "In INVALID_ALTER_ATTRIBUTE: two entities have one value of an attribute that would become unique.",
            "Change or retract one of the two values that the details name.";
        CardinalityViolation => "CARDINALITY_VIOLATION",
            "In INVALID_ALTER_ATTRIBUTE: an entity has several values of an attribute that would take one.",
            "Retract all but one value of each entity.";
        UnsupportedAlterSchema => "UNSUPPORTED_ALTER_SCHEMA",
            "In INVALID_ALTER_ATTRIBUTE: the property never changes once it is installed.",
            "Install an attribute under a new ident, and move the data.";
        InvalidTupleValue => "INVALID_TUPLE_VALUE",
            "A value does not have the slots of its tuple attribute.",
            "A tuple has 2 to 8 slots, of the attribute's types; nil is an empty slot.";
        AttrPred => "ATTR_PRED",
            "A predicate of the attribute (`:db.attr/preds`) does not accept the value.",
            "Give a value that it accepts; the details name predicate, attribute and value.";
        EntityAttr => "ENTITY_ATTR",
            "An entity lacks an attribute that the spec it was checked against (`:db/ensure`) requires.",
            "Give it the attribute that the details name, in the same transaction.";
        EntityPred => "ENTITY_PRED",
            "A predicate of an entity spec (`:db.entity/preds`) does not accept an entity as it would be after the transaction.",
            "Change what the transaction says about the entity.";
        CycleInAffinity => "CYCLE_IN_AFFINITY",
            "Tempids want each other's partition, and none has one.",
            "Give one of them a partition with `:db/force-partition`.";
        ReservedNamespace => "RESERVED_NAMESPACE",
            "An ident lies in a namespace that the database keeps for itself: `db`, `annals`, and what begins with `db.` or `annals.`.",
            "Choose another namespace.";
        ValueOutOfRange => "VALUE_OUT_OF_RANGE",
            "A value is larger than values may be. The details `limit` and `seen` have both sizes.",
            "Store it in several values or outside the database, or raise the limit in `[limits]` of the transactors.";
        TransactionTooLarge => "TX_TOO_LARGE",
            "A transaction is over a limit: the details `limit` and `seen` have both sizes.",
            "Split it into several, or raise the limit in `[limits]` of the transactors.";
        FuelExhausted => "FUEL_EXHAUSTED",
            "The stored functions of a transaction do more work than one may.",
            "Narrow the queries of the functions, split the transaction, or raise `fuel` among the limits.";
        TransactionIdReused => "TX_ID_REUSED",
            "A transaction id was used before, for other bytes.",
            "Draw a new id for every transaction, and keep it only to send the very same bytes again.";
        TransactionIdInvalid => "TX_ID_INVALID",
            "A transaction id is no uuid, or is given in the tx-data.",
            "Send it with the request, as 16 bytes; version 7 is best.";
        QueryEmpty => "QUERY_EMPTY",
            "The text of a query is empty.",
            "Write `[:find … :where …]`.";
        InvalidQuery => "INVALID_QUERY",
            "A query is not built as queries are.",
            "Look at the span: sections are `:find`, `:with`, `:in`, `:where`, `:order-by`, `:limit` and `:offset`.";
        InvalidClause => "INVALID_CLAUSE",
            "A clause of a query is none that exists.",
            "Look at the span and the hint.";
        InvalidAggregate => "INVALID_AGGREGATE",
            "No aggregate has that name, or it is given the wrong arguments.",
            "Use one that the guide lists.";
        UnboundQueryVariables => "UNBOUND_QUERY_VARIABLES",
            "`:find` or `:with` names a variable that no clause binds.",
            "Bind it in `:where` or `:in`, or correct its name.";
        InsufficientBinding => "INSUFFICIENT_BINDING",
            "A clause needs variables that nothing before it or around it can bind.",
            "Bind the variables that the message names.";
        NotABindingForm => "NOT_A_BINDING_FORM",
            "Something stands where a variable, a tuple or a collection of them binds a result.",
            "Write `?x`, `[?x ?y]`, `[?x ...]` or `[[?x ?y]]`.";
        InvalidDataSource => "INVALID_DATA_SOURCE",
            "A clause reads from something that is no database and no collection of rows.",
            "Pass a database for `$`, or rows for a source of your own.";
        TooFewInputs => "TOO_FEW_INPUTS",
            "`:in` names more inputs than arguments are given.",
            "Pass one argument for each input; the first database is passed by itself.";
        ArgsMismatch => "ARGS_MISMATCH",
            "The arguments do not fit the inputs of `:in`.",
            "Pass as many as there are inputs, each of the kind its input binds.";
        UnknownFunction => "UNKNOWN_FUNCTION",
            "No function of queries has that name.",
            "Use one that the guide lists; the hint may have the one that was meant.";
        UnknownRule => "UNKNOWN_RULE",
            "No rule of that name and number of arguments is given.",
            "Pass the rule in the rules that `%` binds.";
        InvalidRule => "INVALID_RULE",
            "A rule is not built as rules are.",
            "A rule is `[(name ?arguments) clauses]`; the span shows which is not.";
        Unstratifiable => "UNSTRATIFIABLE",
            "A rule calls itself through `not`, which has no meaning.",
            "Take the negation out of the recursion.";
        FunctionFailed => "FUNCTION_FAILED",
            "A function cannot be computed from what it was given.",
            "The message says which argument is in the way; a clause before it may filter such rows.";
        InvalidFunction => "INVALID_FUNCTION",
            "The body of a stored function cannot be one: a part is unknown, or its query could never run.",
            "The message names the part. docs/functions.md has the grammar.";
        FunctionRefused => "FUNCTION_REFUSED",
            "A stored function refuses its arguments: what it requires of them does not hold.",
            "The message is the function's own.";
        DivisionByZero => "DIVISION_BY_ZERO",
            "A divisor is zero.",
            "Filter such rows with a clause: `[(not= ?x 0)]`.";
        IntegerOverflow => "INTEGER_OVERFLOW",
            "A result of integers does not fit 64 bits.",
            "Compute with bigints: `(+ ?x 0N)`.";
        AttributeNotIndexed => "ATTRIBUTE_NOT_INDEXED",
            "An index by value was asked for an attribute that is not in it.",
            "Read `:aevt`, or assert `:db/index true`.";
        InvalidPull => "INVALID_PULL",
            "A pull pattern or the request of an index-pull is not built as they are.",
            "Look at the span.";
        InvalidAttrSpec => "INVALID_ATTR_SPEC",
            "An element of a pull pattern is no attribute, or one with options or a sub-pattern that it cannot have.",
            "Write `:attribute`, `[:attribute :option value]` or `{:reference [pattern]}`.";
        InvalidRecurLimit => "INVALID_RECUR_LIMIT",
            "The depth of a recursion in a pull pattern is not a positive number.",
            "Write a number from 1 on, or `...`.";
        PullDuplicateAttribute => "PULL_DUPLICATE_ATTRIBUTE",
            "A pull pattern names one attribute twice.",
            "Name it once, or give one of them another name with `:as`.";
        InvalidView => "INVALID_VIEW",
            "The operation does not work on this view of the database: a history, or the past.",
            "Use the present, or a view that the message names.";
        InvalidArgument => "INVALID_ARGUMENT",
            "An argument of a call is not what it may be; the message says which.",
            "Correct the argument.";
        DbName => "DB_NAME",
            "The name of a database is not one.",
            "Use up to 128 letters, digits and hyphens.";
        CursorInvalid => "CURSOR_INVALID",
            "A resume token is damaged, or not one of this product.",
            "Send the request again without a token.";
        CursorMismatch => "CURSOR_MISMATCH",
            "A resume token belongs to another request.",
            "Send the request that it was given for.";
        CursorExpired => "CURSOR_EXPIRED",
            "A resume token is too old.",
            "Send the request again without a token.";
        BasisCollected => "BASIS_COLLECTED",
            "What the database was at that t can no longer be told exactly: an index job dropped rows it needs.",
            "Read at a later t. `:as-of` on the present value works as ever.";
        Config => "CONFIG",
            "The configuration is wrong; the message says where.",
            "`annals config explain` shows what is set and from where.";
        DataDirInvalid => "DATA_DIR_INVALID",
            "A data directory is not one of this product, of another member, or incomplete.",
            "Check the path; never copy a data directory between members.";
        FormatUnsupported => "FORMAT_UNSUPPORTED",
            "Data is in a format that this version does not know.",
            "Use the version that wrote it, or a newer one.";
    }
    Forbidden {
        Unauthenticated => "UNAUTHENTICATED",
            "The caller did not show who it is.",
            "Present a client certificate of this cluster, or a key and secret that it knows.";
        RoleMissing => "ROLE_MISSING",
            "The caller may not do this.",
            "Ask an administrator for the role that the details name.";
        XformNotAllowed => "XFORM_NOT_ALLOWED",
            "A function is not on the list of those that `:xform` may call.",
            "Use one of the list in the hint.";
    }
    Unsupported {
        Unsupported => "UNSUPPORTED",
            "This version does not offer that.",
            "The hint says what there is instead, where there is something.";
    }
    NotFound {
        DbNotFound => "DB_NOT_FOUND",
            "There is no database of that name.",
            "`annals db list` shows those that are there; `annals db create` makes one.";
        FileNotFound => "FILE_NOT_FOUND",
            "A file does not exist or cannot be read.",
            "Check the path.";
    }
    Conflict {
        CasFailed => "CAS_FAILED",
            "The value that a `:db/cas` compares with is not the one that the entity has. The detail `value` has that one.",
            "Read again, and decide anew.";
        UniqueConflict => "UNIQUE_CONFLICT",
            "A unique value would belong to two entities, or a tempid be two entities by its unique values. The detail `holder` has the entity that has the value.",
            "Use the entity that has it, or another value. To move a value, retract it from its holder in the same transaction.";
        FunctionConflict => "FUNCTION_CONFLICT",
            "A stored function refuses: the database is not in the state that it requires.",
            "The message is the function's own. Read again, and decide anew.";
        DbExists => "DB_EXISTS",
            "A database of that name is there already.",
            "Use it (`--if-not-exists`), or choose another name.";
        DataDirLocked => "DATA_DIR_LOCKED",
            "Another process uses the data directory.",
            "Stop it, or give this one a directory of its own.";
        Diverged => "DIVERGED",
            "What came does not continue what is there.",
            "Nothing: the reader starts again from the last root. If it repeats, report it.";
    }
    Fault {
        Internal => "INTERNAL",
            "A defect of ours.",
            "Report it, with the request and the server's log.";
        DataLoss => "DATA_LOSS",
            "Data at rest is damaged and no other copy was found.",
            "Restore the files from a backup or another member.";
        Storage => "STORAGE",
            "The disk or the store failed.",
            "Look at the server's log and its disk.";
        DamagedLog => "DAMAGED_LOG",
            "The Raft log of a member is damaged beyond its last entry.",
            "Remove the member, and let it join again with an empty directory.";
    }
    Busy {
        Overloaded => "OVERLOADED",
            "Too much is under way.",
            "Try again after a pause; the client library does it by itself.";
        MessageTooLarge => "MESSAGE_TOO_LARGE",
            "A message is over the limit of its connection.",
            "Send less at once.";
        QueryTooComplex => "QUERY_TOO_COMPLEX",
            "A query has more clauses than are planned, or nests too deep.",
            "Split it into several.";
        MemoryBudgetExceeded => "MEMORY_BUDGET_EXCEEDED",
            "A query needs more memory than it may have.",
            "Narrow it, or raise its budget.";
        RowsBudgetExceeded => "ROWS_BUDGET_EXCEEDED",
            "A query would make more rows than it may.",
            "Narrow it, or raise its budget.";
        PullTooDeep => "PULL_TOO_DEEP",
            "A pull goes deeper than it may.",
            "Bound the recursion.";
        DiskFull => "DISK_FULL",
            "The disk of a server is full.",
            "Make room; reading goes on meanwhile.";
    }
}
