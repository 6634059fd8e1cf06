//! Requests in windows of time.

use crate::subject::{Stores, contract};

contract! {
    a_window_has_room_for_so_many_and_no_more,
    closed_windows_stay_closed,
}

async fn a_window_has_room_for_so_many_and_no_more(stores: &Stores<'_>) {
    for expected in [true, true, true, false, false] {
        assert_eq!(stores.take(7, 3).await.unwrap(), expected);
    }
    assert!(stores.take(8, 3).await.unwrap(), "the next has its own");
    assert!(stores.take(7, 5).await.unwrap(), "the limit was raised");
}

async fn closed_windows_stay_closed(stores: &Stores<'_>) {
    assert!(stores.take(3, 5).await.unwrap());
    stores.close(3..=5, 5).await.unwrap();
    stores.close(4..=5, 5).await.unwrap();
    for (window, expected) in [(2, true), (3, false), (4, false), (5, false), (6, true)] {
        assert_eq!(stores.take(window, 5).await.unwrap(), expected, "{window}");
    }
}
