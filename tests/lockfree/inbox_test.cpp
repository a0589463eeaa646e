#include "broker/lockfree/mpsc_inbox.hpp"

#include "random_run.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace linnet::lockfree {
namespace {

int letters_alive = 0;

struct letter : inbox_hook<letter> {
    explicit letter(int n) : number(n) { ++letters_alive; }
    letter(const letter&) = delete;
    letter& operator=(const letter&) = delete;
    ~letter() { --letters_alive; }
    int number;
};

using inbox = mpsc_inbox<letter>;

void push(inbox& to, int number) { to.push(std::make_unique<letter>(number)); }

std::vector<int> numbers(inbox_batch<letter> batch) {
    std::vector<int> found;
    while (auto item = batch.pop_front()) {
        found.push_back(item->number);
    }
    return found;
}

TEST(MpscInbox, GivesItemsInTheOrderTheyCame) {
    inbox box;
    EXPECT_TRUE(box.empty());
    EXPECT_TRUE(box.take_all().empty());
    push(box, 1);
    push(box, 2);
    push(box, 3);
    EXPECT_FALSE(box.empty());
    EXPECT_EQ(numbers(box.take_all()), (std::vector<int>{1, 2, 3}));
    EXPECT_TRUE(box.empty());
    push(box, 4);
    EXPECT_EQ(numbers(box.take_all()), std::vector<int>{4});
}

TEST(MpscInbox, ItemsPushedWhileABatchIsReadWaitForTheNext) {
    inbox box;
    push(box, 1);
    auto batch = box.take_all();
    push(box, 2);
    EXPECT_EQ(numbers(std::move(batch)), std::vector<int>{1});
    EXPECT_EQ(numbers(box.take_all()), std::vector<int>{2});
}

TEST(MpscInbox, DeletesWhatWasNeverTakenOrPopped) {
    ASSERT_EQ(letters_alive, 0);
    {
        inbox box;
        push(box, 1);
        push(box, 2);
        auto batch = box.take_all();
        EXPECT_EQ(batch.pop_front()->number, 1);
        push(box, 3);
        auto moved = std::move(batch);
        EXPECT_EQ(letters_alive, 2);
        EXPECT_FALSE(moved.empty());
    }
    EXPECT_EQ(letters_alive, 0);
}

TEST(MpscInbox, BehavesLikeADeque) {
    testing::dice dice(testing::seed_of_this_run("BehavesLikeADeque"));
    inbox box;
    std::deque<int> model;
    for (int step = 0; step < 100'000; ++step) {
        ASSERT_EQ(box.empty(), model.empty());
        if (dice.roll(4) != 0) {
            push(box, step);
            model.push_back(step);
        } else {
            ASSERT_EQ(numbers(box.take_all()), std::vector<int>(model.begin(), model.end()));
            model.clear();
        }
    }
    static_cast<void>(box.take_all());
    EXPECT_EQ(letters_alive, 0);
}

}  // namespace
}  // namespace linnet::lockfree
