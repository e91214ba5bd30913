//! The runner keeps its contract: what it says, what it answers, how it ends.

use std::time::Duration;

use serde_json::json;

use crate::support::{Runner, eventually, exchange, function_processes};

#[test]
fn it_says_where_everything_is_and_ends_when_told() {
    let runner = Runner::start(&[]);
    let names: Vec<&str> = runner.lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["aws", "table", "queues", "meta", "chatwoot", "ready"]);
    for name in ["aws", "meta", "chatwoot", "ready"] {
        assert!(runner.said(name).starts_with("http://127.0.0.1:"), "{name}");
    }
    let queues: Vec<&str> = runner.said("queues").split(' ').collect();
    assert_eq!(queues.len(), 8);
    for queue in queues {
        assert_eq!(runner.messages(queue, "waiting").len(), 0);
    }
    let tables = runner.aws("DynamoDB_20120810.ListTables", &serde_json::json!({})).json();
    assert_eq!(tables["TableNames"][0], runner.said("table"), "the other is the copy of its ledger");

    // The same for `ops --local`, which needs no line of standard output.
    let stack = runner.get("/_local/stack").json();
    assert_eq!((&stack["stack"], &stack["graph_version"]), (&json!("lmotos"), &json!("v25.0")));
    for (name, told) in [
        ("aws", &stack["aws"]["endpoint"]),
        ("table", &stack["table"]),
        ("meta", &stack["graph_url"]),
        ("chatwoot", &stack["chatwoot_url"]),
        ("ready", &stack["api_url"]),
    ] {
        assert_eq!(told, runner.said(name), "{name}");
    }
    assert_eq!(stack["queues"].as_array().unwrap().len(), 8);

    let (status, took) = runner.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn the_clock_moves_forward_and_never_back() {
    let runner = Runner::start(&[]);
    let before = runner.advance(0);
    let after = runner.advance(86_400);
    assert!((86_400..86_460).contains(&(after - before)), "{before} → {after}");
    assert!(runner.advance(0) >= after);
    for wrong in ["", "{}", "{\"advance_seconds\":-1}"] {
        let refused = runner.post("/_local/clock", wrong);
        assert_eq!(refused.status, 400);
        assert!(refused.json()["error"].is_string());
    }
}

#[test]
fn unknown_paths_and_schedules_are_refused_in_words() {
    let runner = Runner::start(&[]);
    for (path, status) in [("/_local/run/nobody", 404), ("/_local/nobody", 404), ("/_local/deletion", 400)] {
        let refused = runner.post(path, "{}");
        assert_eq!(refused.status, status, "{path}");
        assert!(refused.json()["error"].is_string(), "{path}");
    }
    let no_route = runner.get("/nobody");
    assert_eq!((no_route.status, no_route.body.as_str()), (404, "{\"message\":\"Not Found\"}"));
}

#[test]
fn what_is_larger_than_the_api_takes_is_refused() {
    let runner = Runner::start(&[]);
    let refused = runner.post("/webhooks/meta", &"x".repeat(10 * 1024 * 1024 + 1));
    assert_eq!((refused.status, refused.body.as_str()), (413, ""));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let runner = Runner::start(&[]);
    let page = runner.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html; charset=utf-8"), "{}", page.head);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert!(!page.head.contains("unsafe"), "{}", page.head);
    // Its parts, and the parts of these.
    let (mut parts, mut seen) = (vec!["/".to_owned()], 0);
    while let Some(path) = parts.get(seen).cloned() {
        seen += 1;
        let part = runner.get(&path);
        assert_eq!(part.status, 200, "{path}");
        for outside in
            ["src=\"http", "href=\"http", "url(http", "@import", "from \"http", "import(\"http", "innerHTML", "eval("]
        {
            assert!(!part.body.contains(outside), "{outside} in {path}");
        }
        for (begin, folder) in [("\"/_local/page/", "/_local/page/"), ("from \"./", "/_local/page/")] {
            let names = part.body.split(begin).skip(1).filter_map(|rest| rest.split('"').next());
            for named in names.map(|name| format!("{folder}{name}")) {
                if !parts.contains(&named) {
                    parts.push(named);
                }
            }
        }
    }
    assert!(parts.len() > 8, "{parts:?}");
    assert_eq!(runner.get("/_local/page/nobody.js").status, 404);
    assert_eq!(runner.get("/_local/meta/customers").body, "[]");
    assert_eq!(runner.get("/_local/chatwoot/conversations").body, "[]");
}

#[test]
fn with_real_servers_it_has_no_simulators() {
    let runner = Runner::start(&["--meta-url", "http://127.0.0.1:9/", "--chatwoot-url", "http://127.0.0.1:10"]);
    assert_eq!(runner.said("meta"), "http://127.0.0.1:9");
    assert_eq!(runner.said("chatwoot"), "http://127.0.0.1:10");
    assert_eq!(runner.get("/_local/meta/customers").status, 404);
    assert_eq!(runner.get("/_local/chatwoot/conversations").status, 404);
    assert_eq!(runner.get("/").status, 200);
}

/// Whatever asks like a page of somebody else's, through a name made to lead here, or through a tunnel.
const FOREIGN: [(&str, &str); 8] = [
    ("host", "evil.example"),
    ("host", "localhost.evil.example:80"),
    ("origin", "http://evil.example"),
    ("origin", "null"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-real-ip", "203.0.113.9"),
    ("forwarded", "for=203.0.113.9"),
    ("via", "1.1 tunnel"),
];

#[test]
fn the_control_routes_answer_this_machine_only() {
    let runner = Runner::start(&[]);
    let base = runner.said("ready");
    let moved = r#"{"advance_seconds":0}"#;
    for path in [
        "/",
        "/_local/page/page.js",
        "/_local/docs/runbook/balance.md",
        "/_local/queues",
        "/_local/flow",
        "/_local/alarms",
        "/_local/erasures",
        "/_local/stack",
        "/_local/chatwoot/conversations",
        "/_local/nobody",
    ] {
        assert!([200, 404].contains(&exchange(base, "GET", path, &[], "").status), "{path}");
        for header in FOREIGN {
            assert_eq!(exchange(base, "GET", path, &[header], "").status, 403, "{path} {header:?}");
        }
    }
    for header in FOREIGN {
        assert_eq!(exchange(base, "POST", "/_local/clock", &[header], moved).status, 403, "{header:?}");
    }
    for header in [("origin", base), ("host", "localhost:1"), ("host", "127.9.9.9"), ("host", "[::1]:8080")] {
        assert_eq!(exchange(base, "POST", "/_local/clock", &[header], moved).status, 200, "{header:?}");
    }
    // Meta comes through a tunnel, and by a name.
    for header in FOREIGN {
        assert_eq!(exchange(base, "POST", "/webhooks/meta", &[header], "{}").status, 401, "{header:?}");
    }
}

#[test]
fn beside_the_real_ones_the_control_routes_have_a_port_of_their_own() {
    for (meta, chatwoot) in [
        ("https://graph.example.com", "http://127.0.0.1:9"),
        ("http://localhost:9", "http://chatwoot.example.com:9"),
        ("http://127.0.0.1@graph.example.com", "http://[::1]:9"),
    ] {
        let runner = Runner::start(&["--meta-url", meta, "--chatwoot-url", chatwoot]);
        let names: Vec<&str> = runner.lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["aws", "table", "queues", "meta", "chatwoot", "control", "ready"]);
        let (gateway, control) = (runner.said("ready"), runner.said("control"));
        assert!(control.starts_with("http://127.0.0.1:") && control != gateway);
        for path in ["/", "/_local/queues", "/_local/nobody"] {
            assert_eq!(exchange(gateway, "GET", path, &[], "").status, 404, "{path}");
        }
        assert_eq!(exchange(gateway, "POST", "/_local/clock", &[], r#"{"advance_seconds":60}"#).status, 404);
        assert_eq!(exchange(gateway, "POST", "/webhooks/meta", &[], "{}").status, 401);
        assert_eq!(exchange(control, "GET", "/", &[], "").status, 200);
        assert_eq!(exchange(control, "GET", "/_local/queues", &[], "").status, 200);
        assert_eq!(exchange(control, "POST", "/webhooks/meta", &[], "{}").status, 404);
        for header in FOREIGN {
            assert_eq!(exchange(control, "GET", "/_local/queues", &[header], "").status, 403, "{header:?}");
        }
    }
}

#[test]
fn each_function_is_a_process_of_its_own_and_ends_with_the_runner() {
    let data = tempfile::tempdir().unwrap();
    let every = [
        "callback",
        "deletion",
        "erasure",
        "forward",
        "history",
        "ledger",
        "reconcile",
        "retention",
        "send",
        "signup",
        "webhook",
    ];

    let runner = Runner::start(&["--data", data.path().to_str().unwrap()]);
    eventually("a process of each function", || function_processes(data.path()) == every);
    runner.kill();
    eventually("the end of all functions after SIGKILL", || function_processes(data.path()).is_empty());

    let runner = Runner::start(&["--data", data.path().to_str().unwrap()]);
    eventually("a process of each function", || function_processes(data.path()) == every);
    assert!(runner.terminate().0.success());
    assert_eq!(function_processes(data.path()), Vec::<String>::new());
}

#[test]
fn a_schedule_runs_when_it_is_told() {
    let runner = Runner::start(&[]);
    let ran = runner.post("/_local/run/reconcile", "");
    assert_eq!(ran.status, 200, "{ran:?}");
}

#[test]
fn the_balance_sheet_is_shown_by_channel_and_day() {
    let runner = Runner::start(&[]);
    let empty = runner.get("/_local/balance");
    assert_eq!((empty.status, empty.json()), (200, json!({ "channels": {} })));
    let known = runner.post("/_local/meta/customers", r#"{"name":"Ana","wa_id":"5215555550123"}"#);
    let path = format!("/_local/meta/customers/{}/text", known.json()["wa_id"].as_str().unwrap());
    for text in ["hola", "¿precio?"] {
        assert_eq!(runner.post(&path, &json!({ "text": text }).to_string()).status, 200);
    }
    let sheet = json!({ "received": 2, "done": 2, "duplicate": 0, "refused": {}, "waiting": 0, "difference": 0 });
    eventually("the sheet of two messages", || {
        let shown = runner.get("/_local/balance").json();
        let channels = shown["channels"].as_object().unwrap();
        let Some(days) = channels.values().next().and_then(|days| days.as_object()) else { return false };
        let (day, counted) = days.iter().next().unwrap();
        assert!(day.len() == 10 && day.as_bytes()[4] == b'-' && channels.len() == 1 && days.len() == 1, "{shown}");
        assert_eq!(counted["difference"], 0, "{shown}");
        *counted == sheet
    });
}
