from app.identity import read_identity


def test_what_was_baked_in_counts() -> None:
    identity = read_identity({"APP_VERSION": "1.0.0", "APP_COMMIT": "abc"})
    assert (identity.version, identity.commit) == ("1.0.0", "abc")


def test_the_service_wins_over_the_image() -> None:
    identity = read_identity(
        {
            "APP_VERSION": "1.0.0",
            "APP_COMMIT": "abc",
            "ML_DEPLOY_VERSION": "1.1.0",
            "ML_DEPLOY_COMMIT": "def",
        }
    )
    assert (identity.version, identity.commit) == ("1.1.0", "def")


def test_empty_counts_as_not_set() -> None:
    identity = read_identity({"ML_DEPLOY_VERSION": "", "APP_VERSION": "", "APP_COMMIT": "abc"})
    assert (identity.version, identity.commit) == ("0.0.0-dev", "abc")
