//! How counting is cut up: parts under a small limit, and what they reserve.

use super::*;

#[test]
fn a_part_of_equal_keys_reserves_little() {
    let tokens = vec![0u32; 100_000];
    let stream = Stream { tokens: &tokens, separator: None };
    let layout = Layout::new(3, 2);
    assert_eq!(layout.words, 1);
    let plan = Plan { most: 1000, threads: 1, place: Place::Memory };
    let sizes = [tokens.len() as u32, 0];
    let counter = Counter::<1, u32>::new(plan, &stream, &layout, &sizes);
    let largest = counter.parts.iter().max_by_key(|part| part.positions).unwrap();
    assert_eq!(largest.positions, tokens.len() as u64 - 2);
    let found = counter.part(largest);
    assert_eq!(found.levels.len(), 2);
    for level in &found.levels {
        assert_eq!((level.len(), level[0].count), (1, tokens.len() as u32 - 2));
        assert!(level.capacity() < 100, "{}", level.capacity());
    }
}

#[test]
fn a_small_limit_does_not_read_the_corpus_without_end() {
    let (tokens, threads) = (100_000_000u64, 2);
    let options = |limit| Options { memory_limit: Some(limit), ..Options::new(5, 1000) };
    let layout = Layout::new(5, 1000);
    // Enough for 1000 positions in a part, which would be 100,000 parts.
    let most = (1..1000)
        .map(|mib| mib << 20)
        .find_map(|limit| Plan::new(1000, &options(limit), threads, &layout).ok().map(|_| limit));
    let few = most.unwrap();
    let error = Plan::new(tokens, &options(few), threads, &layout).unwrap_err().to_string();
    assert!(error.contains("memory_limit") && error.contains("100000000 tokens"), "{error}");
    // What the error asks for is enough, and one MiB less is not.
    let words: Vec<&str> = error.split(' ').collect();
    let at = words.iter().position(|&word| word == "MiB").unwrap();
    let need: u64 = words[at - 1].parse().unwrap();
    let plan = Plan::new(tokens, &options(need << 20), threads, &layout).unwrap();
    assert!(tokens.div_ceil(plan.most) <= MOST_PARTS);
    assert!(need << 20 > few);
    assert!(Plan::new(tokens, &options((need - 1) << 20), threads, &layout).is_err());
}
