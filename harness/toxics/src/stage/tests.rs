//! A stage on its own, driven by hand.

use bytes::Bytes;
use serde_json::Value;

use super::{Cut, Stage, Step};
use crate::attributes::Attributes;
use crate::decision::Draws;
use crate::evidence::{Context, Counters, Scope};
use crate::item::{Item, Medium, Segment};
use crate::record::ToxicCounts;
use crate::toxic::{Acts, Direction, Kind};

/// A segment that was received when it is fed.
pub(crate) fn data(text: &str, offset: u64) -> Item {
    Item::Data(Segment {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        at_ns: 0,
        offset,
    })
}

impl Item {
    /// The same, received at this time.
    pub(crate) fn at(self, at_ns: u64) -> Self {
        match self {
            Self::Data(segment) => Self::Data(Segment { at_ns, ..segment }),
            other => other,
        }
    }
}

/// A stage and its clock.
pub(crate) struct Bench {
    pub(crate) now_ns: u64,
    pub(crate) medium: Medium,
    kind: &'static Kind,
    attributes: Attributes,
    stage: Box<dyn Stage>,
    counters: Counters,
    touched: bool,
}

impl Bench {
    pub(crate) fn new(kind: &'static Kind, attributes: &str) -> Self {
        let attributes = parse(&Attributes::defaults(kind.attributes), attributes);
        let Acts::OnTraffic(make) = kind.acts else {
            panic!("{} makes no stages", kind.name)
        };
        Self {
            now_ns: 0,
            medium: Medium::Stream,
            kind,
            stage: make(&attributes, 0),
            attributes,
            counters: Counters::default(),
            touched: false,
        }
    }

    pub(crate) fn datagrams(kind: &'static Kind, attributes: &str) -> Self {
        Self {
            medium: Medium::Datagram,
            ..Self::new(kind, attributes)
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut dyn Stage, &mut Context<'_>) -> T) -> T {
        let (direction, connection) = (Direction::Upstream, 0);
        let scope = Scope {
            link: "link",
            toxic: self.kind.name,
            connection,
            direction,
            counters: &self.counters,
        };
        let draws = Draws::new(1, scope.link, scope.toxic, connection, direction);
        let touched = &mut self.touched;
        let mut context = Context::new(self.now_ns, self.medium, draws, scope, touched, None);
        act(&mut *self.stage, &mut context)
    }

    pub(crate) fn feed(&mut self, item: Item) {
        let item = item.at(self.now_ns);
        self.with(|stage, context| stage.feed(item, context));
    }

    pub(crate) fn poll(&mut self) -> Step {
        self.with(|stage, context| stage.poll(context))
    }

    pub(crate) fn cut(&mut self) -> Cut {
        self.with(|stage, context| stage.cut(context))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage.is_open()
    }

    pub(crate) fn counters(&self) -> ToxicCounts {
        self.counters.read()
    }

    pub(crate) fn update(&mut self, attributes: &str) {
        self.attributes = parse(&self.attributes, attributes);
        self.stage.update(&self.attributes, self.now_ns);
    }

    pub(crate) fn release(&mut self) -> Vec<Item> {
        self.stage.release()
    }

    /// Everything that leaves now.
    pub(crate) fn items(&mut self) -> Vec<Item> {
        std::iter::from_fn(|| match self.poll() {
            Step::Item(item) => Some(item),
            Step::Wait(_) => None,
        })
        .collect()
    }

    /// Everything that leaves now as text, segments of datagrams apart; ends in brackets.
    pub(crate) fn text(&mut self) -> String {
        self.items().iter().map(|item| self.show(item)).collect()
    }

    fn show(&self, item: &Item) -> String {
        let separator = if self.medium == Medium::Datagram {
            "|"
        } else {
            ""
        };
        match item {
            Item::Data(segment) => String::from_utf8_lossy(&segment.bytes).into_owned() + separator,
            other => format!("[{other:?}]"),
        }
    }
}

fn parse(base: &Attributes, text: &str) -> Attributes {
    let value: Value = serde_json::from_str(text).unwrap();
    base.merged(value.as_object().unwrap()).unwrap()
}
