//! Members counted by the network they come from, and which network has the most: where room is short, that one pays.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;

use super::source::network;

/// Members by source; `M::default()` is the least of them. A network is a /24 of IPv4 or a /48 of IPv6; a part of it is
/// a /56.
#[derive(Debug)]
pub struct Networks<M> {
    members: BTreeSet<(IpAddr, M)>,
    sizes: HashMap<IpAddr, usize>,
    parts: HashMap<IpAddr, usize>,
    /// The sizes again, in order; and those of the parts of each network.
    ranks: BTreeSet<(usize, IpAddr)>,
    part_ranks: BTreeSet<(IpAddr, usize, IpAddr)>,
}

impl<M> Default for Networks<M> {
    fn default() -> Self {
        let (sizes, parts) = (HashMap::new(), HashMap::new());
        let (members, ranks, part_ranks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { members, sizes, parts, ranks, part_ranks }
    }
}

/// The /24 or /48 of an address.
pub fn wide(address: IpAddr) -> IpAddr {
    cut(address, 48)
}

fn cut(address: IpAddr, v6_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - v6_bits)))),
    }
}

/// The last address of a network that begins with `first`.
fn last(first: IpAddr, v6_bits: u32) -> IpAddr {
    match first {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | 0xff)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | (u128::MAX >> v6_bits))),
    }
}

impl<M: Ord + Copy + Default> Networks<M> {
    /// Counts a member.
    pub fn join(&mut self, source: IpAddr, member: M) {
        if self.members.insert((network(source), member)) {
            self.resize(source, |size| size + 1);
        }
    }

    /// Counts a member no longer.
    pub fn leave(&mut self, source: IpAddr, member: M) {
        if self.members.remove(&(network(source), member)) {
            self.resize(source, |size| size.saturating_sub(1));
        }
    }

    /// How many members the network of `source` has.
    pub fn size(&self, source: IpAddr) -> usize {
        self.sizes.get(&wide(source)).copied().unwrap_or(0)
    }

    /// The network with the most members.
    pub fn largest(&self) -> Option<IpAddr> {
        self.ranks.last().map(|(_, net)| *net)
    }

    /// The network that has to make room for a newcomer from `source`: the largest, unless that of `source` has as many.
    pub fn payer(&self, source: IpAddr) -> Option<IpAddr> {
        let (size, net) = *self.ranks.last()?;
        (size > self.size(source)).then_some(net)
    }

    /// The members of a network.
    pub fn members(&self, net: IpAddr) -> impl Iterator<Item = (IpAddr, M)> + '_ {
        self.between(net, last(net, 48))
    }

    /// The members of the largest part of a network, those after `cursor` first.
    pub fn members_of_largest_part(
        &self,
        net: IpAddr,
        cursor: Option<(IpAddr, M)>,
    ) -> impl Iterator<Item = (IpAddr, M)> + '_ {
        let parts = (net, 0, net)..=(net, usize::MAX, last(net, 48));
        let part = self.part_ranks.range(parts).next_back().map_or(net, |(_, _, part)| *part);
        let end = last(part, 56);
        let after = cursor.filter(|(source, _)| (part..=end).contains(source));
        let after = after.map(|cursor| (Bound::Excluded(cursor), Bound::Unbounded));
        let from = after.map(|range| self.members.range(range));
        let from = from.into_iter().flatten().take_while(move |(source, _)| *source <= end).copied();
        from.chain(self.between(part, end))
    }

    fn between(&self, first: IpAddr, last: IpAddr) -> impl Iterator<Item = (IpAddr, M)> + '_ {
        self.members.range((first, M::default())..).take_while(move |(source, _)| *source <= last).copied()
    }

    fn resize(&mut self, source: IpAddr, change: impl Fn(usize) -> usize) {
        let (net, part) = (wide(source), cut(source, 56));
        let (old, new) = resized(&mut self.sizes, net, &change);
        self.ranks.remove(&(old, net));
        let (old_part, new_part) = resized(&mut self.parts, part, &change);
        self.part_ranks.remove(&(net, old_part, part));
        if new > 0 {
            self.ranks.insert((new, net));
        }
        if new_part > 0 {
            self.part_ranks.insert((net, new_part, part));
        }
    }
}

/// The size before and after.
fn resized(
    sizes: &mut HashMap<IpAddr, usize>,
    net: IpAddr,
    change: impl Fn(usize) -> usize,
) -> (usize, usize) {
    let old = sizes.get(&net).copied().unwrap_or(0);
    let new = change(old);
    if new == 0 {
        sizes.remove(&net)
    } else {
        sizes.insert(net, new)
    };
    (old, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_largest_network_pays_and_not_for_one_of_its_own_size() {
        let mut networks = Networks::default();
        for (member, source) in
            ["192.0.2.1", "192.0.2.9", "198.51.100.1", "2001:db8:1:2::1"].iter().enumerate()
        {
            networks.join(at(source), member + 1);
        }
        assert_eq!(networks.payer(at("203.0.113.1")), Some(at("192.0.2.0")));
        assert_eq!(networks.payer(at("198.51.100.7")), Some(at("192.0.2.0")));
        assert_eq!(networks.payer(at("192.0.2.77")), None);
        networks.leave(at("192.0.2.1"), 1);
        networks.leave(at("192.0.2.1"), 1);
        assert_eq!(networks.payer(at("198.51.100.7")), None);
        assert_eq!(networks.members(at("192.0.2.0")).collect::<Vec<_>>(), [(at("192.0.2.9"), 2)]);
    }

    #[test]
    fn the_largest_part_of_a_network_is_gone_through_from_the_cursor_on() {
        let mut networks = Networks::default();
        let sources = ["2001:db8:1:100::", "2001:db8:1:101::", "2001:db8:1:102::", "2001:db8:1:200::"];
        for (member, source) in sources.iter().enumerate() {
            networks.join(at(source), member + 1);
        }
        let net = networks.largest().unwrap();
        assert_eq!(net, at("2001:db8:1::"));
        let found = |cursor| {
            let members = networks.members_of_largest_part(net, cursor);
            members.map(|(_, member)| member).take(3).collect::<Vec<_>>()
        };
        assert_eq!(found(None), [1, 2, 3]);
        assert_eq!(found(Some((at("2001:db8:1:101::"), 2))), [3, 1, 2]);
        assert_eq!(found(Some((at("192.0.2.1"), 9))), [1, 2, 3]);
    }
}
