//! What the thread of the file does.

use super::{
    asked::Ask,
    remembered::Remembered,
    round::{Access, Halt, Round},
    rows::Rows,
    tidying::Tidying,
    time::{FileTime, HostTime},
};
use crate::store::StoreError;
use std::{mem, sync::mpsc::Receiver};

/// How many asks are decided together at most. Others wait for less than that.
const MANY: usize = 1024;

/// Answers everybody, in the order in which they asked.
pub(super) struct Desk<'c> {
    rows: Rows<'c>,
    remembered: Remembered,
    time: HostTime,
    tidying: Tidying,
    /// Whether those before were written for: the next ones are likely to be, too.
    has_written: bool,
    /// Whether the file does not know how far its time is ahead.
    is_off: bool,
}

type Asks = Vec<Box<dyn Ask>>;

/// How far a look at the file got.
enum Looked {
    /// All is decided, and nothing is to be written.
    Decided,
    /// Somebody has something to write.
    Writes,
}

impl<'c> Desk<'c> {
    pub(super) fn new(rows: Rows<'c>) -> Self {
        let (remembered, tidying) = (Remembered::default(), Tidying::default());
        let (has_written, is_off) = (false, false);
        Self { rows, remembered, time: HostTime::new(), tidying, has_written, is_off }
    }

    /// Serves until nobody is left who could ask.
    pub(super) fn serve(mut self, asked: &Receiver<Box<dyn Ask>>) {
        while let Ok(first) = asked.recv() {
            let mut asks = vec![first];
            asks.extend(asked.try_iter().take(MANY - 1));
            asks.retain(|ask| !ask.is_abandoned());
            self.decide(asks);
        }
    }

    /// Decides by reading alone. When somebody has something to write everybody is decided once
    /// more, as others may have written in between. Where that is foreseen, there is no look.
    fn decide(&mut self, mut asks: Asks) {
        let looked = match self.foresees_writing(&mut asks) {
            true => Ok(Looked::Writes),
            false => self.look(&mut asks),
        };
        let failure = match looked {
            Ok(Looked::Decided) => {
                self.set_ahead();
                return answer(asks);
            }
            Ok(Looked::Writes) => match self.write(&mut asks) {
                Ok(has_written) => {
                    self.has_written = has_written;
                    return answer(asks);
                }
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        self.rows.roll_back();
        self.answer_who_can_be(asks, &StoreError::new(failure));
    }

    /// Whether somebody has something to write by what is remembered, which is so unless others have
    /// written since: then whoever is refused may have waited for them to let go of the file. It is not
    /// asked.
    fn foresees_writing(&mut self, asks: &mut Asks) -> bool {
        if !mem::take(&mut self.has_written) {
            // Those who are refused would be decided twice.
            return false;
        }
        let now = self.time.tell(FileTime::default()).time;
        let mut round = Round::new(&mut self.rows, &mut self.remembered, Access::Recall, now);
        let halt = asks.iter_mut().find_map(|ask| ask.decide(&mut round).err());
        matches!(halt, Some(Halt::Writes))
    }

    fn look(&mut self, asks: &mut Asks) -> rusqlite::Result<Looked> {
        self.rows.begin_reading()?;
        self.remembered.see(self.rows.version()?);
        let file = self.rows.time()?;
        let FileTime { time, ahead } = self.time.tell(file);
        self.is_off = ahead != file.ahead;
        let mut round = Round::new(&mut self.rows, &mut self.remembered, Access::Read, time);
        let looked = decide_all(&mut round, asks);
        self.rows.commit()?;
        Ok(looked)
    }

    /// Decides and writes. Whether anything was written.
    fn write(&mut self, asks: &mut Asks) -> rusqlite::Result<bool> {
        self.rows.begin_writing()?;
        self.remembered.see(self.rows.version()?);
        // Whatever fails from here on, nothing is taken for written that is not.
        let version = self.remembered.doubt();
        let file = self.rows.time()?;
        let FileTime { time, ahead } = self.time.tell(file);
        let mut round = Round::new(&mut self.rows, &mut self.remembered, Access::Write, time);
        decide_all(&mut round, asks);
        let has_written = round.write(&mut self.tidying)?;
        if ahead != file.ahead {
            self.rows.set_ahead(ahead)?;
        }
        self.rows.commit()?;
        self.remembered.settle(version);
        Ok(has_written)
    }

    /// Has the file know how far its time is ahead, where it does not. Those who come only to be refused
    /// write nothing else, and at each start time would begin again at the latest instant. It is done
    /// before they are answered, as some are gone then, and where it cannot be done at once it is left to
    /// the next ones.
    fn set_ahead(&mut self) {
        if mem::take(&mut self.is_off) && self.try_set_ahead().is_err() {
            self.rows.roll_back();
        }
    }

    fn try_set_ahead(&mut self) -> rusqlite::Result<()> {
        self.rows.begin_writing_at_once()?;
        let file = self.rows.time()?;
        let ahead = self.time.tell(file).ahead;
        if ahead != file.ahead {
            self.rows.set_ahead(ahead)?;
        }
        self.rows.commit()
    }

    /// After a failure: whoever has nothing to write may do without.
    fn answer_who_can_be(&mut self, asks: Asks, failure: &StoreError) {
        for ask in asks {
            let mut alone = vec![ask];
            match self.look(&mut alone) {
                Ok(Looked::Decided) => answer(alone),
                Ok(Looked::Writes) | Err(_) => {
                    self.rows.roll_back();
                    alone.into_iter().for_each(|ask| ask.fail(failure.clone()));
                }
            }
        }
    }
}

/// Decides all, one after the other. Whoever cannot be decided is told, and the others are decided
/// as if that one had never asked.
fn decide_all(round: &mut Round<'_, '_>, asks: &mut Asks) -> Looked {
    loop {
        let halts = asks.iter_mut().enumerate().find_map(|(at, ask)| {
            let halt = ask.decide(round).err()?;
            Some((at, halt))
        });
        match halts {
            None => return Looked::Decided,
            Some((_, Halt::Writes | Halt::Unknown)) => return Looked::Writes,
            Some((at, Halt::Fails(error))) => {
                round.undo();
                asks.remove(at).fail(error);
            }
        }
    }
}

fn answer(asks: Asks) {
    asks.into_iter().for_each(|ask| ask.answer());
}

#[cfg(test)]
mod tests {
    use super::{Ask, Desk};
    use crate::{
        algorithm::Quota,
        decision::{Ask as Question, Take},
        store::{
            Answer, Batch, Order, StoreAsk, StoreError, StoreKey, StoredLimit,
            sqlite::{asked::Asked, rows::Rows, table::Table},
        },
    };
    use rusqlite::Connection;
    use std::sync::{Arc, mpsc};
    use tokio::sync::oneshot;

    type Answered = oneshot::Receiver<Result<Vec<Answer>, StoreError>>;

    /// Who asks for a permit out of three, in a batch of its own.
    fn three_permits() -> (Box<dyn Ask>, Answered) {
        let (answer, answered) = oneshot::channel();
        let algorithm = Quota::new(3).expect("three permits");
        let limit = Arc::new(StoredLimit { name: "three".into(), algorithm });
        let (key, ask) = (StoreKey::new("a"), StoreAsk::Ask(Question::Take(Take::fresh(1))));
        let batch = Batch::new(vec![Order { limit, key, ask, is_with_previous: false }]);
        (Box::new(Asked::new(batch, answer)), answered)
    }

    /// Serves those who have asked already, and returns how many rows were written for them.
    fn serve(asks: impl IntoIterator<Item = Box<dyn Ask>>) -> i64 {
        let connection = Connection::open_in_memory().expect("it needs no file");
        let table = Table::default();
        connection.execute_batch(&table.creation()).expect("it is empty");
        let written =
            || connection.query_row("SELECT total_changes()", [], |row| row.get::<_, i64>(0));
        let before = written().expect("it counts");
        let (send, asked) = mpsc::channel();
        asks.into_iter().for_each(|ask| send.send(ask).expect("it is asked below"));
        drop(send);
        Desk::new(Rows::new(&connection, &table).expect("there is the table")).serve(&asked);
        written().expect("it counts") - before
    }

    fn is_granted(mut answered: Answered) -> bool {
        answered.try_recv().expect("it was served").expect("it was decided")[0].is_granted()
    }

    #[test]
    fn those_who_ask_at_the_same_time_are_served_in_turn_and_written_once() {
        let (asks, answered): (Vec<_>, Vec<_>) = (0..64).map(|_| three_permits()).unzip();
        // The row of the key, and the time.
        assert_eq!(serve(asks), 2);
        let granted: Vec<_> = answered.into_iter().map(is_granted).collect();
        assert_eq!(granted, [[true; 3].as_slice(), &[false; 61]].concat());
    }

    #[test]
    fn whoever_is_gone_before_it_is_decided_takes_nothing() {
        let (asks, answered): (Vec<_>, Vec<_>) = (0..5).map(|_| three_permits()).unzip();
        let stay = [true, false, true, false, true].into_iter();
        let stayed: Vec<_> = answered.into_iter().zip(stay).filter(|(_, stays)| *stays).collect();
        serve(asks);
        // There are three, for three.
        assert!(stayed.into_iter().all(|(answered, _)| is_granted(answered)));
    }
}
