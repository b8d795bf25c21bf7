use super::*;

#[test]
fn cpus() {
    let right = [
        ("1", 1000),
        ("2", 2000),
        ("8", 8000),
        ("0.5", 500),
        ("0.08", 80),
        ("500m", 500),
        ("1000m", 1000),
        ("1.0", 1000),
        (".25", 250),
    ];
    for (text, milli) in right {
        assert_eq!(parse_cpu(text), Ok(milli), "{text}");
    }
    let wrong = [
        ("3", "use `4`"),
        ("0.07", "use `0.08`"),
        ("0.555", "use `0.56`"),
        ("16", "use `8`"),
        ("one", "use `1`"),
        ("", "use `1`"),
        ("-1", "use `1`"),
    ];
    for (text, help) in wrong {
        assert_eq!(
            parse_cpu(text).unwrap_err().help.as_deref(),
            Some(help),
            "{text}"
        );
    }
    assert_eq!(format_cpu(1000), "1");
    assert_eq!(format_cpu(500), "0.5");
    assert_eq!(format_cpu(80), "0.08");
}

#[test]
fn memories() {
    let right = [
        ("512Mi", 512),
        ("1Gi", 1024),
        ("32Gi", 32768),
        ("1G", 953),
        ("128Mi", 128),
    ];
    for (text, mib) in right {
        assert_eq!(parse_memory(text).map(|(mib, _)| mib), Ok(mib), "{text}");
    }
    let wrong = [
        ("512MB", "use `512Mi`"),
        ("2gb", "use `2Gi`"),
        ("64Mi", "use `128Mi`, the least"),
        ("64", "use `128Mi`, the least"),
        ("64Gi", "use `32Gi`, the most"),
        ("512", "use `512Mi`"),
        ("", "use `512Mi`"),
    ];
    for (text, help) in wrong {
        assert_eq!(
            parse_memory(text).unwrap_err().help.as_deref(),
            Some(help),
            "{text}"
        );
    }
}

#[test]
fn numbers() {
    assert_eq!(parse_number("80", 1, 1000, "requests"), Ok(80));
    let wrong = [
        ("0", Some("use `1`, the least")),
        ("1001", Some("use `1000`, the most")),
        ("-5", Some("use `1`, the least")),
        ("60s", Some("write the number alone: `60`")),
        ("many", None),
        ("1.5", Some("write the number alone: `1`")),
    ];
    for (text, help) in wrong {
        assert_eq!(
            parse_number(text, 1, 1000, "requests")
                .unwrap_err()
                .help
                .as_deref(),
            help,
            "{text}"
        );
    }
}

#[test]
fn switches_and_choices() {
    assert_eq!(parse_switch("true"), Ok(true));
    assert_eq!(parse_switch("False"), Ok(false));
    assert_eq!(
        parse_switch("yes").unwrap_err().help.as_deref(),
        Some("use `true`")
    );
    assert_eq!(
        parse_switch("off").unwrap_err().help.as_deref(),
        Some("use `false`")
    );
    assert_eq!(
        parse_switch("tru").unwrap_err().help.as_deref(),
        Some("did you mean `true`?")
    );
    assert_eq!(parse_choice("merge", &["merge", "overwrite"]), Ok("merge"));
    assert_eq!(
        parse_choice("overwite", &["merge", "overwrite"])
            .unwrap_err()
            .help
            .as_deref(),
        Some("did you mean `overwrite`?")
    );
}

#[test]
fn probes() {
    let probe = parse_probe("http:/health period=5 timeout=4 failure_threshold=24 initial_delay=2")
        .unwrap();
    assert_eq!(probe.action, ProbeAction::Http("/health".to_owned()));
    assert_eq!(
        (
            probe.period,
            probe.timeout,
            probe.failure_threshold,
            probe.initial_delay
        ),
        (5, 4, 24, 2)
    );
    assert_eq!(parse_probe("tcp").unwrap().action, ProbeAction::Tcp);
    assert_eq!(
        parse_probe("tcp,period=240,timeout=240").unwrap().period,
        240
    );
    let wrong = [
        ("/health", "use `http:/health`"),
        ("http:health", "use `http:/http:health`"),
        ("tcp period=300", "use `240`, the most"),
        ("tcp peroid=5", "did you mean `period`?"),
        ("tcp timeout=20", "use `period=20`"),
        ("tcp period=0", "use `1`, the least"),
    ];
    for (text, help) in wrong {
        let problems = parse_probe(text).unwrap_err();
        assert_eq!(problems[0].help.as_deref(), Some(help), "{text}");
    }
    assert_eq!(parse_probe("grpc period=0 x=1").unwrap_err().len(), 3);
}

#[test]
fn durations_shares_and_numbers_say_their_unit() {
    for (text, millis) in [
        ("200ms", 200),
        ("1.5s", 1500),
        ("2m", 120_000),
        (" 30 s ", 30_000),
    ] {
        assert_eq!(parse_duration(text).unwrap().as_millis(), millis, "{text}");
    }
    for text in ["200", "0ms", "61m", "1h", "ms", "-1s", "1.2.3s", ""] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert_eq!(
        parse_duration("200").unwrap_err().help.unwrap(),
        "use `200ms`, or `200s`"
    );
    for (text, share) in [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("100 %", 1.0)] {
        assert!((parse_share(text).unwrap() - share).abs() < 1e-12, "{text}");
    }
    assert_eq!(parse_share("5").unwrap_err().help.unwrap(), "use `5%`");
    for text in ["101%", "-1%", "x", "NaN", "inf"] {
        assert!(parse_share(text).is_err(), "{text}");
    }
    assert!((parse_decimal("0.25").unwrap() - 0.25).abs() < 1e-12);
    for text in ["0", "-1", "x", "NaN", "inf"] {
        assert!(parse_decimal(text).is_err(), "{text}");
    }
}
