//! The short form of the fuzzing; `make fuzz` is the long one.

use tests::fuzz;

use crate::TestApp;

#[tokio::test]
async fn random_documents_end_in_no_fault() {
    let app = TestApp::start().await;
    let tally = fuzz::documents(&app, 1, 1_500).await;
    assert_eq!(tally.faults, Vec::<String>::new());
    let ok = tally.ends.get("OK").copied().unwrap_or(0);
    assert!(150 < ok && ok < 1_350, "most that is sent should be nearly right: {:?}", tally.ends);
}

#[test]
fn random_texts_panic_no_parser() {
    for parser in ["cron", "duration", "filter", "guard"] {
        let fuzz::Parsed { taken, refused } = fuzz::texts(parser, 1, 20_000);
        assert!(800 < taken && 800 < refused, "{parser}: {taken} taken, {refused} refused");
    }
}
