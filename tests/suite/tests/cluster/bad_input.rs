//! Bad input through the command line: a clear error, the exit code of its kind, and a server that lives on.

use crate::server::{Folder, annals, errors};

/// Arguments, standard input, exit code, and what the message says.
type Case<'a> = (Vec<&'a str>, String, i32, &'a str);

fn cases<'a>(nested: &'a str) -> Vec<Case<'a>> {
    let none = String::new;
    let schema = "[{:db/ident :item/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";
    vec![
        (vec!["transact", "items"], schema.to_string(), 0, ""),
        (vec!["transact", "items"], "[{:item/m 1}]".to_string(), 12, ":item/m"),
        (vec!["transact", "items"], "[{:item/n \"one\"}]".to_string(), 12, ":item/n"),
        (vec!["transact", "items"], "[{:item/n 1]".to_string(), 12, "]"),
        (vec!["transact", "items"], nested.to_string(), 12, "deep"),
        (vec!["query", "items", nested], none(), 12, "deep"),
        (vec!["query", "items", "[:find ?x :where [?e :item/n ?n]]"], none(), 12, "?x"),
        (vec!["query", "items", "[:find ?e :where [?e :item/n"], none(), 12, ""),
        (vec!["query", "nowhere", "[:find ?e :where [?e :item/n _]]"], none(), 15, "nowhere"),
        (vec!["db", "create", "no/such name"], none(), 12, "DB_NAME"),
        (vec!["db", "create", "items"], none(), 16, "items"),
        (vec!["db", "delete", "nowhere"], none(), 15, "nowhere"),
        (vec!["query", "items"], none(), 2, "QUERY"),
    ]
}

#[test]
fn bad_input_is_refused_and_the_server_lives() {
    let folder = Folder::new("bad");
    let _dev = folder.dev(&[]);
    let created = folder.run(&["db", "create", "items"], "");
    assert!(created.status.success(), "{}", errors(&created));
    let nested = "[".repeat(100_000);
    let mut failures = Vec::new();
    for (arguments, input, code, says) in cases(&nested) {
        let output = folder.run(&arguments, &input);
        let message = errors(&output);
        if output.status.code() != Some(code) || !message.contains(says) {
            let shown: Vec<String> =
                arguments.iter().map(|argument| argument.chars().take(60).collect()).collect();
            let message: String = message.chars().take(300).collect();
            failures.push(format!("{shown:?}: {:?} instead of {code}, {says:?}: {message}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_lives(&folder);
}

#[test]
fn a_transaction_of_10_megabytes() {
    let folder = Folder::new("big");
    let _dev = folder.dev(&[]);
    let created = folder.run(&["db", "create", "items"], "");
    assert!(created.status.success(), "{}", errors(&created));
    let text = format!("[{{:db/doc \"{}\"}}]", "x".repeat(10 << 20));
    let output = folder.run(&["transact", "items"], &text);
    let message: String = errors(&output).chars().take(300).collect();
    assert_eq!(output.status.code(), Some(12), "{message}");
    assert!(message.contains("TX_TOO_LARGE"), "{message}");
    assert_lives(&folder);
}

#[test]
fn a_certificate_of_another_authority() {
    let folder = Folder::new("certificate");
    let _dev = folder.dev(&[]);
    let other = folder.path().join("other");
    for arguments in [vec!["cert", "ca"], vec!["cert", "client", "me"]] {
        let made = std::process::Command::new(annals()).args(arguments).arg("--dir").arg(&other).output();
        let made = made.expect("annals starts");
        assert!(made.status.success(), "{}", errors(&made));
    }
    let mut profile = folder.profile();
    (profile.cert, profile.key) = (other.join("client-me.pem"), other.join("client-me.key"));
    // The client sees by itself that its certificate is not of the authority it trusts.
    let message = refused(&folder, &profile, 12);
    assert!(message.contains("client-me.pem"), "{message}");
    // With the stranger's authority it does not trust the server either.
    profile.ca = other.join("ca.pem");
    let message = refused(&folder, &profile, 13);
    assert!(message.contains("certificate"), "{message}");
    assert_lives(&folder);
}

fn assert_lives(folder: &Folder) {
    let list = folder.run(&["db", "list"], "");
    assert!(list.status.success(), "the server is gone: {}", errors(&list));
}

/// What `db list` says with that profile, which must end with `code`.
fn refused(folder: &Folder, profile: &annals_client::Profile, code: i32) -> String {
    let file = folder.path().join("stranger.toml");
    profile.save(&file).expect("the folder is writable");
    let mut command = std::process::Command::new(annals());
    let output = command.arg("--profile").arg(&file).args(["db", "list"]).output().expect("annals starts");
    assert_eq!(output.status.code(), Some(code), "{}", errors(&output));
    errors(&output)
}
