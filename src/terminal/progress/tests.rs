use indicatif::TermLike;
use std::io;
use std::sync::{Arc, Mutex};

use super::*;

/// A terminal of 100 columns that remembers what was written.
#[derive(Debug, Clone, Default)]
struct Paper(Arc<Mutex<String>>);

impl TermLike for Paper {
    fn width(&self) -> u16 {
        100
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_bar_tells_steps_loss_and_probes() {
    let paper = Paper::default();
    let bar = Bar::new(ProgressDrawTarget::term_like(Box::new(paper.clone())));
    bar.stage(&Stage { done: 2, all: 16, ..Stage::networks("training", Some(400)) });
    bar.stepped(2, 100, Some(0.0123));
    bar.stepped(3, 20, None);
    bar.probing(2, 120);
    bar.bar.force_draw();
    let written = paper.0.lock().unwrap().clone();
    assert!(written.contains("920/6400 steps"), "{written}");
    assert!(written.contains("network 3 of 16, step 120, loss 1.2300e-2, probing"), "{written}");
}

#[test]
fn a_run_without_last_step_has_no_total() {
    assert_eq!(total(16, 400), Some(6400));
    assert_eq!(total(2, u64::MAX), None);
    assert_eq!(total(1, u64::MAX), None);
}

#[test]
fn events_are_objects_with_a_name() {
    let text = |event: &Event<'_>| serde_json::to_string(event).unwrap();
    let step = Event::Step { member: 0, step: 3, loss: Some(f64::NAN) };
    assert_eq!(text(&step), r#"{"event":"step","member":0,"step":3,"loss":null}"#);
    let started = Event::Started { members: 2, steps: None, done: 0 };
    assert_eq!(text(&started), r#"{"event":"started","members":2,"steps":null,"done":0}"#);
}
