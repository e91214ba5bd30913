//! Reads queries and scans page by page.
//! The caller says what to read and where to end. DynamoDB gives a page of at most a megabyte at once.

use aws_sdk_dynamodb::types::Select;
use domain::{AccountId, CustomerId, PhoneNumberId, Timestamp};

use crate::{
    StoreError, Table,
    keys::{Key, Range, alias_prefix, is_partition},
    table::{Item, integer, text},
};

/// Where reading ends: with the first page at whose end one of these is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// At least so many items are read.
    pub(crate) items: usize,
    /// It is that time.
    pub(crate) until: Option<Timestamp>,
}

impl Limit {
    /// With the last page.
    pub(crate) const NONE: Self = Self { items: usize::MAX, until: None };
    /// With the next page.
    pub(crate) const PAGE: Self = Self { items: 0, until: None };
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Pager<'t> {
    table: &'t Table,
    source: Source,
    values: Item,
    filter: Option<&'static str>,
    projection: Option<&'static str>,
    consistent: bool,
    from: Option<Item>,
}

#[derive(Clone, Debug)]
enum Source {
    /// Nothing: no item can have such a key.
    Nowhere,
    /// A partition of the table: its key condition.
    Range(&'static str),
    /// A partition of an index, which shows late what was written: its name and key condition.
    Index(&'static str, &'static str),
    /// The whole table.
    Table,
}

/// What one call gave.
struct Page {
    items: Vec<Item>,
    count: i32,
    next: Option<Item>,
}

impl Table {
    /// The items of a range, expired or not.
    pub(crate) fn pages(&self, range: &Range) -> Pager<'_> {
        let (condition, values) = range.condition();
        let source = if range.can_be() { Source::Range(condition) } else { Source::Nowhere };
        self.pager(source, values).consistent()
    }

    /// The keys of what names a customer, by the index `customer`.
    pub(crate) fn pages_naming(&self, customer: &CustomerId) -> Pager<'_> {
        let values = Item::from([(":customer".to_owned(), text(customer.as_str()))]);
        // Chatwoot may tell an id that is none of ours.
        let source = Source::Index("customer", "customer = :customer");
        self.pager(if is_partition(customer.as_str()) { source } else { Source::Nowhere }, values)
    }

    /// The keys of a customer's aliases in an account, by the same index.
    pub(crate) fn pages_of_aliases(&self, customer: &CustomerId, account: AccountId) -> Pager<'_> {
        let mut pages = self.pages_naming(customer);
        if let Source::Index(_, condition) = &mut pages.source {
            *condition = "customer = :customer AND begins_with(pk, :aliases)";
            pages.values.insert(":aliases".to_owned(), alias_prefix(account));
        }
        pages
    }

    /// The conversations of a channel in which something happened since, by the index `activity`.
    pub(crate) fn pages_of_activity(&self, channel: &PhoneNumberId, since: Timestamp) -> Pager<'_> {
        let values = Item::from([
            (":channel".to_owned(), text(channel.as_str())),
            (":since".to_owned(), integer(since.as_millis())),
        ]);
        self.pager(Source::Index("activity", "channel = :channel AND active_at >= :since"), values)
    }

    /// The items of the whole table that match a filter, expired or not. For the operator, and for daily work.
    pub(crate) fn table_pages(&self, filter: &'static str, values: Item) -> Pager<'_> {
        Pager { filter: Some(filter), ..self.pager(Source::Table, values) }
    }

    fn pager(&self, source: Source, values: Item) -> Pager<'_> {
        Pager { table: self, source, values, filter: None, projection: None, consistent: false, from: None }
    }
}

impl Pager<'_> {
    /// Reads only these attributes.
    pub(crate) fn only(self, projection: &'static str) -> Self {
        Self { projection: Some(projection), ..self }
    }

    /// Reads what was written last; an index cannot.
    pub(crate) fn consistent(self) -> Self {
        Self { consistent: true, ..self }
    }

    /// Begins after a key.
    pub(crate) fn after(self, key: Option<&Key>) -> Self {
        Self { from: key.map(Key::attributes), ..self }
    }

    /// Gives each item to `each`, up to a limit. Returns where to go on, if that is not the end.
    pub(crate) async fn each(mut self, limit: Limit, mut each: impl FnMut(Item)) -> Result<Option<Key>, StoreError> {
        let mut read = 0;
        loop {
            let page = self.page(None).await?;
            read += page.items.len();
            page.items.into_iter().for_each(&mut each);
            let next = page.next.as_ref().and_then(Key::of);
            if next.is_none() || read >= limit.items || limit.until.is_some_and(|until| self.table.now() >= until) {
                return Ok(next);
            }
            self.from = page.next;
        }
    }

    /// All items.
    pub(crate) async fn all(self) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        self.each(Limit::NONE, |item| items.push(item)).await?;
        Ok(items)
    }

    /// How many items there are that are not expired; each of them has an end.
    pub(crate) async fn count(mut self) -> Result<u64, StoreError> {
        self.filter = Some("expires_at > :now");
        self.values.insert(":now".to_owned(), integer(self.table.now().as_secs()));
        let mut count = 0;
        loop {
            let page = self.page(Some(Select::Count)).await?;
            count += u64::try_from(page.count).unwrap_or_default();
            self.from = page.next;
            if self.from.is_none() {
                return Ok(count);
            }
        }
    }

    async fn page(&self, select: Option<Select>) -> Result<Page, StoreError> {
        let (client, name) = (&self.table.client, &self.table.name);
        // DynamoDB refuses an empty map.
        let values = Some(self.values.clone()).filter(|values| !values.is_empty());
        let (index, condition) = match self.source {
            Source::Nowhere => return Ok(Page { items: Vec::new(), count: 0, next: None }),
            Source::Table => {
                let request = client.scan().table_name(name).consistent_read(self.consistent).set_select(select);
                let request = request.set_filter_expression(self.filter.map(str::to_owned));
                let request = request.set_projection_expression(self.projection.map(str::to_owned));
                let request =
                    request.set_expression_attribute_values(values).set_exclusive_start_key(self.from.clone());
                let page = request.send().await.map_err(StoreError::call)?;
                let items = page.items.unwrap_or_default();
                return Ok(Page { items, count: page.count, next: page.last_evaluated_key });
            }
            Source::Range(condition) => (None, condition),
            Source::Index(index, condition) => (Some(index.to_owned()), condition),
        };
        let request = client.query().table_name(name).consistent_read(self.consistent).set_index_name(index);
        let request = request.key_condition_expression(condition).set_select(select);
        let request = request.set_filter_expression(self.filter.map(str::to_owned));
        let request = request.set_projection_expression(self.projection.map(str::to_owned));
        let request = request.set_expression_attribute_values(values).set_exclusive_start_key(self.from.clone());
        let page = request.send().await.map_err(StoreError::call)?;
        Ok(Page { items: page.items.unwrap_or_default(), count: page.count, next: page.last_evaluated_key })
    }
}
