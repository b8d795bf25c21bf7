//! Environments of conda.

use super::short;
use crate::image::policy::conda::{check_environment, is_environment};

fn check(text: &str, beside: &[&str]) -> Vec<String> {
    let beside: Vec<String> = beside.iter().map(|name| (*name).to_owned()).collect();
    short(&check_environment("environment.yml", text, &beside))
}

#[test]
fn the_table_of_packages() {
    for (package, is_pinned) in [
        ("numpy==1.26.4", true),
        ("numpy=1.26.4=py312h2809609_0", true),
        ("numpy==1.26.4=py312h2809609_0", true),
        ("numpy 1.26.4", true),
        ("numpy 1.26.4 py312h2809609_0", true),
        ("conda-forge::numpy==1.26.4", true),
        ("conda-forge/linux-64::numpy=1.26.4=py312_0", true),
        ("openssl==3.3.1", true),
        ("tzdata==2024a", true),
        ("\"numpy[version='1.26.4']\"", true),
        ("\"numpy[version='==1.26.4', build='py312_0']\"", true),
        ("pytorch=2.3.0=*cuda*", true),
        ("numpy", false),
        ("numpy=1.26", false),
        ("numpy=1.26.4", false),
        ("conda-forge::numpy=1.26.4", false),
        ("numpy>=1.26", false),
        ("numpy 1.26.*", false),
        ("numpy=1.26.*", false),
        ("numpy=1.26.*=py312_0", false),
        ("numpy>=1.26,<2", false),
        ("numpy==1.26.4|==1.26.5", false),
        ("numpy~=1.26.4", false),
        ("\"numpy[version='>=1.26']\"", false),
        ("\"numpy[version='=1.26']\"", false),
        ("\"numpy[build='py312_0']\"", false),
        ("https://x.test/linux-64/numpy-1.26.4-0.conda", false),
        (
            "https://x.test/a.conda#0123456789abcdef0123456789abcdef",
            false,
        ),
    ] {
        let text = format!("name: x\nchannels: [conda-forge]\ndependencies:\n  - {package}\n");
        let expected: &[&str] = match is_pinned {
            true => &[],
            false => &["4:5 conda-unpinned"],
        };
        assert_eq!(check(&text, &[]), expected, "{package}");
    }
}

#[test]
fn the_pip_part_is_read_like_a_requirements_file() {
    let text = "dependencies:\n- python==3.12.4\n- pip:\n  - fastapi==0.129.0\n  - numpy>=1\n  - -e .\n  - -r requirements.txt\n  - -r more.in\n  - '--no-binary :all:'\n";
    let found = check(text, &[]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("5:5 "), "{found:?}");
    assert_eq!(found[1..], ["6:5 editable", "8:5 include-missing"]);
}

#[test]
fn a_lock_file_pins_it_and_what_is_none_is_told() {
    let open = "dependencies: [numpy]\n";
    assert_eq!(check(open, &[]), ["1:16 conda-unpinned"]);
    for lock in ["conda-lock.yml", "conda-linux-64.lock"] {
        assert!(check(open, &[lock]).is_empty(), "{lock}");
    }
    assert_eq!(check(open, &["requirements.txt"]).len(), 1);
    assert!(check("name: a service\nvalues: {a: 1}\n", &[]).is_empty());
    assert!(check("dependencies:\n- pip:\n", &[]).is_empty());
    assert_eq!(check("dependencies: [\n", &[]).len(), 1);
    assert_eq!(
        check("dependencies: 1\n", &[])[0].split(' ').nth(1),
        Some("manifest")
    );
    for (name, is_one) in [
        ("environment.yml", true),
        ("api/environment.yaml", true),
        ("environment-gpu.yml", true),
        ("conda.yml", true),
        ("environments.yml", false),
        ("environment.json", false),
    ] {
        assert_eq!(is_environment(name), is_one, "{name}");
    }
}
